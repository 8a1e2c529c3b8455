"""What attacks share: graphs kept for a classifier, and what a subclass owes."""

import gc
import logging
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmtf import losses
from mmtf.arguments import kept_arguments
from mmtf.attacks import ATTACKS, ExpectationOverTransformation, UniversalPerturbation
from mmtf.attacks.autoattack import AutoAttack
from mmtf.attacks.base import Attack
from mmtf.attacks.iterated import IFGSM, PGD
from mmtf.attacks.queries import input_gradient
from mmtf.classifiers.classifier import as_classifier
from mmtf.errors import ConfigError
from mmtf.threat import ThreatModel


def test_a_new_attack_must_say_what_it_does(smooth):
    attack, x, y = Attack(ThreatModel(eta=0.1)), tf.zeros([1, 4, 4, 1]), tf.zeros(1, tf.int32)
    with pytest.raises(NotImplementedError, match="Attack must define run"):
        attack(smooth, x, y)
    for method, arguments in (("init", (smooth, x, y, x)), ("step", (smooth, (x, y), ()))):
        with pytest.raises(NotImplementedError, match=f"Attack must define {method}"):
            getattr(attack, method)(*arguments)


def test_the_input_gradient_of_another_loss(smooth, rng):
    """The margin's gradient on a linear part: central differences agree."""
    x = rng.uniform(-1, 1, (5, 4, 4, 1)).astype(np.float32)
    y = tf.constant([0, 1, 2, 0, 1])
    _, gradient = input_gradient(smooth, tf.constant(x), y, losses.margin)
    step = 1e-2
    for pixel in ((0, 0), (1, 3), (3, 2)):
        up, down = x.copy(), x.copy()
        up[:, pixel[0], pixel[1], 0] += step
        down[:, pixel[0], pixel[1], 0] -= step
        margins = [losses.margin(smooth(one, training=False), y).numpy() for one in (up, down)]
        difference = (margins[0] - margins[1]) / (2 * step)
        # Rounding 1e-7 / step = 1e-5, and the third derivative, of order 10, times step^2 / 6.
        found = gradient.numpy()[:, pixel[0], pixel[1], 0]
        np.testing.assert_allclose(found, difference, rtol=0, atol=1e-3)


def test_a_graph_is_traced_once_for_a_classifier_and_key(linear):
    traces = []

    def function(classifier, x):
        traces.append(classifier)
        return classifier(x, training=False)

    one, two = (as_classifier(linear(factor * np.eye(2))) for factor in (1, 2))
    x = tf.ones([3, 1, 2, 1])
    for _ in range(3):
        np.testing.assert_array_equal(one.compiled("key", function)(x), np.ones((3, 2)))
    np.testing.assert_array_equal(two.compiled("key", function)(x), 2 * np.ones((3, 2)))
    assert traces == [one, two]
    one.compiled("another", function)(x)
    assert traces == [one, two, one]


@pytest.mark.parametrize(
    "make",
    [
        lambda threat: PGD(threat, steps=2),
        lambda threat: PGD(threat, steps=2, target=1),
        lambda threat: AutoAttack(threat, steps=2, queries=4),
        lambda threat: ExpectationOverTransformation(
            PGD(threat, steps=2, stop_early=False), samples=2
        ),
    ],
)
def test_an_attack_made_anew_is_not_traced_anew(make, rng):
    """Nor kept: a loop that makes one for every batch would fill the memory."""
    calls = []

    def classifier(x, training):
        calls.append(x)
        return tf.reshape(x, [-1, 4])[:, :3]

    x, y = rng.uniform(-1, 1, (6, 2, 2, 1)).astype(np.float32), tf.constant([0, 1, 2, 0, 1, 2])
    first = make(ThreatModel(eta=0.3))(classifier, x, y)
    traced = len(calls)
    np.testing.assert_array_equal(make(ThreatModel(eta=0.3))(classifier, x, y), first)
    assert any(map(tf.is_symbolic_tensor, calls[:traced]))
    # How many classes there are is asked eagerly.
    assert not any(map(tf.is_symbolic_tensor, calls[traced:]))
    assert np.abs(make(ThreatModel(eta=0.2))(classifier, x, y) - first).max() > 0.05


def test_attributes_that_are_changed_or_cannot_be_hashed_make_another_key(linear):
    net, x = as_classifier(linear(np.eye(2))), tf.ones([3, 1, 2, 1])

    def traced(attack):
        return net.compiled(attack.key(), lambda model, x: model(x, training=False))

    attack = PGD(ThreatModel(eta=0.3))
    assert traced(attack) is traced(PGD(ThreatModel(eta=0.3)))
    assert traced(PGD(ThreatModel(eta=0.3), target=1)) is not traced(attack)
    before = traced(attack)
    attack.step_size = 0.01
    assert traced(attack) is not before
    one, other = (UniversalPerturbation(ThreatModel(eta=0.3), x[0]) for _ in range(2))
    assert traced(one) is traced(one)
    assert traced(one) is not traced(other)


def test_several_classifiers_are_not_told_as_one_function_traced_again(linear, caplog):
    x = tf.ones([3, 1, 2, 1])
    logging.getLogger("tensorflow").addHandler(caplog.handler)
    try:
        for factor in range(8):
            net = linear(factor * np.eye(2))
            step = as_classifier(net).compiled("key", lambda model, x: model(x, training=False))
            np.testing.assert_array_equal(step(x), factor * np.ones((3, 2)))
    finally:
        logging.getLogger("tensorflow").removeHandler(caplog.handler)
    assert "retracing" not in caplog.text


@pytest.mark.usefixtures("little_garbage")
def test_a_classifier_can_be_forgotten(linear):
    classifier = linear(np.eye(4)[:, :2])
    x, y = tf.zeros([2, 2, 2, 1]), tf.zeros(2, tf.int32)
    IFGSM(ThreatModel(eta=0.1))(classifier, x, y)
    gone = weakref.ref(classifier)
    del classifier
    gc.collect()
    assert gone() is None


def test_two_attacks_on_one_classifier_do_not_mix(smooth, rng):
    x = tf.constant(rng.uniform(-0.5, 0.5, (9, 4, 4, 1)), tf.float32)
    y = tf.argmax(smooth(x, training=False), 1)
    sizes = []
    for eta in (0.01, 0.02):  # too small for any example to fall: each goes to its own corner
        z = IFGSM(ThreatModel(eta=eta), steps=3)(smooth, x, y)
        assert (tf.argmax(smooth(z, training=False), 1) == y).numpy().mean() > 0.8
        sizes.append(np.abs(z - x).max())
    np.testing.assert_allclose(sizes, [0.01, 0.02], rtol=1e-4)


@pytest.mark.parametrize("name", ["fgsm", "apgd"])
def test_images_and_labels_of_other_types_are_taken(name, rng):
    net = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
    x, y = rng.uniform(-1, 1, (6, 4, 4, 1)), rng.integers(0, 3, 6)
    attack = ATTACKS[name](ThreatModel(eta=0.1))
    z = attack(net, x, y.astype(np.uint8))
    assert z.dtype == tf.float32
    expected = attack(net, x.astype(np.float32), y.astype(np.int32))
    np.testing.assert_array_equal(z, expected)


def test_images_outside_of_the_box_are_refused(smooth):
    x, y = np.full([1, 4, 4, 1], 255, np.float32), np.zeros(1, np.int32)
    with pytest.raises(ConfigError, match=r"box \[-1, 1\]. Received: pixels from 255 to 255"):
        IFGSM(ThreatModel(eta=0.1))(smooth, x, y)


def test_a_perturbation_of_another_shape_is_refused(smooth):
    attack = UniversalPerturbation(ThreatModel(eta=0.1), np.zeros([4, 4]))
    with pytest.raises(ConfigError, match="a perturbation of shape"):
        attack(smooth, np.zeros([1, 4, 4, 1], np.float32), np.zeros(1, np.int32))


def test_an_argument_that_is_not_kept_is_named():
    class Forgets(Attack):
        def __init__(self, threat, tries=3):
            super().__init__(threat)
            self.left = tries

    attack = Forgets(ThreatModel(eta=0.1))
    assert "left=3" in repr(attack)
    with pytest.raises(ConfigError, match="self.tries = tries"):
        kept_arguments(attack)
