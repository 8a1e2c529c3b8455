"""Certified examples need no attack: the errors are those of attacking all of them."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

import mmtf
from mmtf.attacks.iterated import PGD
from mmtf.bounds import BOUNDS
from mmtf.errors import ConfigError
from mmtf.evaluation.options import EvalOptions
from mmtf.evaluation.payoff import attack_classifier
from mmtf.evaluation.proved import Proved

THREAT = mmtf.ThreatModel(eta=0.05)
OPTIONS = EvalOptions(max_examples=60, keep=4, distances=True, checks=False)


@dataclasses.dataclass(eq=False, repr=False, kw_only=True)
class Counting(PGD):
    """PGD that counts the images it is given."""

    seen: list = dataclasses.field(default_factory=list)

    def __call__(self, classifier, x, y, *, seed=(0, 0)):
        self.seen.append(len(x))
        return super().__call__(classifier, x, y, seed=seed)

    compiles_itself = True  # called with values, not traced


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    net = mmtf.nets.NETS["strided_cnn"](width=4, hidden=16)
    mmtf.train(
        mmtf.games.MTLIBP(THREAT),
        mmtf.load_data("digits"),
        schedule=mmtf.Schedule(steps=80, batch_size=64, learning_rate=5e-3, eta_ramp=0.5),
        model=net,
        precision="float32",
        progress=False,
    )
    return net


def test_errors_are_the_same_and_fewer_images_are_attacked(model):
    data = mmtf.load_data("digits")
    x, y = data.test(60)
    certified = (BOUNDS["crown_ibp"](model)(x, y, THREAT).min(1) > 0).sum()
    assert 0 < certified < 60
    found = {}
    for skip in (False, True):
        attack = Counting(threat=THREAT, steps=10)
        options = dataclasses.replace(OPTIONS, skip_certified=skip)
        found[skip] = attack_classifier(model, {"pgd": attack}, data, options)
        count = sum(attack.seen)
        assert count == 60 if not skip else 0 < count <= 60 - certified + 2
    for one, other in zip(found[False], found[True], strict=True):
        assert one.n == other.n == 60 and one.attack == other.attack
        # Random starts differ, because the batches do: near the boundary PGD may succeed once.
        assert (one.wrong != other.wrong).sum() <= 1
    kept = found[True][0].images
    assert kept.shape == (4, 28, 28, 1) and not THREAT.violations(kept, x[:4]).any()
    assert found[True][0].distance.shape == (60,)
    assert np.isnan(found[True][0].distance[~found[True][0].wrong]).all()


def test_all_certified_needs_no_attack_at_all():
    model = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten(), _constant()])
    data = mmtf.load_data("digits")
    x, y = data.test(60)
    proved = Proved(x, y).certified(mmtf.Classifier(model), THREAT)
    np.testing.assert_array_equal(proved, y == 0)
    only = dataclasses.replace(data, test_images=x[y == 0], test_labels=y[y == 0])
    attack = Counting(threat=THREAT)
    options = EvalOptions(checks=False, keep=2, skip_certified=True)
    found = attack_classifier(model, {"pgd": attack}, only, options)
    assert found[0].error == 0.0 and not attack.seen and len(found[0].images) == 2
    options = dataclasses.replace(options, distances=True)
    found = attack_classifier(model, {"pgd": attack}, only, options)
    assert np.isnan(found[0].distance).all() and len(found[0].distance) == found[0].n


class Dark(mmtf.Classifier):
    """Rejects images of a mean above that of about half of the digits; has a Keras model."""

    rejects = True

    def rejection(self, x):
        return tf.reduce_mean(x, [1, 2, 3])[:, None] + 0.4

    def at(self, precision):
        return self


class Faint(mmtf.Classifier):
    """Keeps no argument under its name, and so has no fingerprint."""

    def __init__(self, model, factor):
        super().__init__(model)
        self.scale = factor

    def __call__(self, x, training=False):
        return super().__call__(self.scale * x, training=training)


def test_what_bounds_do_not_reach_is_attacked(model):
    """A rule of rejection, which is no part of the bounds; a function; what has no fingerprint."""
    data = mmtf.load_data("digits")

    def function(x, training=False):
        return model(x, training=training)

    for subject in (Dark(model), function, Faint(model, 0.9)):
        found = [
            attack_classifier(subject, {"pgd": PGD(THREAT, steps=5)}, data, options)
            for options in (OPTIONS, dataclasses.replace(OPTIONS, skip_certified=True))
        ]
        for one, other in zip(*found, strict=True):
            np.testing.assert_array_equal(one.wrong, other.wrong)
            np.testing.assert_array_equal(one.failed, other.failed)
    assert 0 < Dark(model).accepts(data.test(60)[0]).numpy().sum() < 60


def _constant():
    bias = keras.initializers.Constant(np.eye(10)[0])
    return keras.layers.Dense(10, kernel_initializer="zeros", bias_initializer=bias)


def test_models_without_bounds_are_attacked_on_all_images():
    model = keras.Sequential(
        [keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.UnitNormalization(),
         keras.layers.Dense(10)]
    )  # fmt: skip
    data = mmtf.load_data("digits")
    attack = Counting(threat=THREAT, steps=1)
    options = EvalOptions(max_examples=20, checks=False, skip_certified=True)
    attack_classifier(model, {"pgd": attack}, data, options)
    assert sum(attack.seen) == 20
    with pytest.raises(ConfigError, match="skip_certified"):
        EvalOptions(skip_certified="yes")
