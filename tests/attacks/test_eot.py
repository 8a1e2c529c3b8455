"""EOT: a randomized defense attacked as its mean, which a linear model has in closed form."""

import gc
import itertools
import weakref

import numpy as np
import pytest
import tensorflow as tf

from mmtf.attacks import ATTACKS, ExpectationOverTransformation
from mmtf.attacks.eot import mean_of
from mmtf.attacks.queries import input_gradient
from mmtf.errors import ConfigError
from mmtf.evaluation.runner import measure
from mmtf.threat import ThreatModel

LINF, L2 = ThreatModel(eta=0.2), ThreatModel(eta=0.7, norm="l2")
SHAPE = (4, 4, 1)
COUNT = 30


@pytest.fixture
def batch(rng):
    x = rng.uniform(-0.5, 0.5, (COUNT, *SHAPE)).astype(np.float32)
    return tf.constant(x), tf.ones(COUNT, tf.int32)


class RandomSign:
    """logits (0, (w + s v).x / 100) with s = +-1 drawn in every call, |v| = 2 |w| pixel by pixel.

    A single draw's gradient has the sign of +-v. For logits this small the mean probability's
    gradient is (w + mean(s) v) / 400: that of w where |mean(s)| < 1/2.
    """

    def __init__(self, rng):
        self.w, self.v = rng.choice([-1.0, 1.0], (2, 16)) * [[0.01], [0.02]]

    def __call__(self, x, training):
        assert training is False
        sign = tf.where(tf.random.uniform([]) < 0.5, -1.0, 1.0)
        weights = tf.constant(self.w, tf.float32) + sign * tf.constant(self.v, tf.float32)
        height = tf.linalg.matvec(tf.reshape(x, [-1, 16]), weights)
        return tf.stack([tf.zeros_like(height), height], 1)


@pytest.mark.parametrize("compile_it", [False, True])
def test_the_mean_finds_what_a_single_draw_cannot(compile_it, rng, batch):
    tf.random.set_seed(0)
    defense, attack = RandomSign(rng), ATTACKS["fgsm"](LINF)
    best = batch[0] - 0.2 * np.sign(defense.w).reshape(SHAPE)
    # The mean of 64 signs is beyond 1/2 at 4 sigma.
    averaged = ExpectationOverTransformation(attack, samples=64)
    call = tf.function(averaged) if compile_it else averaged
    np.testing.assert_allclose(call(defense, *batch), best, rtol=0, atol=1e-6)
    single = attack(defense, *batch)
    off = np.abs(single - best).max(0) > 0.1
    agree = np.sign(defense.v) == np.sign(defense.w)
    assert off.sum() in (agree.sum(), (~agree).sum()) and 0 < off.sum() < 16


@pytest.mark.slow
def test_iterates_settle_where_the_mean_is_worst(rng, batch):
    """PGD by compiled steps: 40 steps of single draws undo each other, those of the mean add up."""
    tf.random.set_seed(0)
    defense = RandomSign(rng)
    pgd = ATTACKS["pgd"](LINF, steps=10, stop_early=False)
    best = batch[0] - 0.2 * np.sign(defense.w).reshape(SHAPE)
    gain = {}
    for name, attack in {
        "mean": ExpectationOverTransformation(pgd, samples=16),
        "single": pgd,
    }.items():
        z = attack(defense, *batch).numpy()
        gain[name] = -((z - batch[0]).numpy().reshape(COUNT, -1) @ defense.w).mean()
    most = -((best - batch[0]).numpy().reshape(COUNT, -1) @ defense.w).mean()
    # 16 signs: beyond 1/2 at 2 sigma, so that a step in 20 goes astray, and is made good.
    assert gain["mean"] > 0.8 * most and gain["single"] < 0.5 * most


def test_log_mean_softmax_and_its_gradient(smooth, rng, batch):
    """Draws taken in turn: the mean and its gradient by NumPy from those of each draw."""
    scales = itertools.cycle([0.5, 1.0, -2.0])

    def turning(x, training):
        return next(scales) * smooth(x, training=training)

    x, y = batch
    mean = mean_of(turning, 3)
    singles = [turning(x, training=False).numpy().astype(np.float64) for _ in range(3)]
    softmax = [np.exp(one) / np.exp(one).sum(1, keepdims=True) for one in singles]
    np.testing.assert_allclose(mean(x, training=False), np.log(np.mean(softmax, 0)), rtol=1e-5)
    # grad -log mean p_y = mean(p_y grad l) / mean(p_y), l the cross-entropy of one draw.
    own = [one[np.arange(COUNT), y] for one in softmax]
    gradients = [input_gradient(turning, x, y)[1].numpy() for _ in range(3)]
    weighted = [p[:, None, None, None] * g for p, g in zip(own, gradients, strict=True)]
    expected = np.mean(weighted, 0) / np.mean(own, 0)[:, None, None, None]
    found = input_gradient(mean, x, y)[1]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


CASES = pytest.mark.parametrize(
    "name, threat, options",
    [
        ("fgsm", LINF, {}),
        ("fgm", L2, {"target": 2}),
        ("pgd", LINF, {"steps": 5, "stop_early": False}),
        ("apgd", L2, {"steps": 5, "stop_early": False}),
        ("carlini_wagner", L2, {"steps": 5, "searches": 2}),
        ("square", LINF, {"steps": 10}),
    ],
)


@CASES
@pytest.mark.parametrize("samples", [3])
def test_nothing_changes_for_a_defense_without_draws(
    name, threat, options, samples, smooth, batch, excess
):
    """log softmax is the logits but for a shift of each example: the same attack."""
    inner = ATTACKS[name](threat, **options)
    attack = ExpectationOverTransformation(inner, samples=samples)
    z = attack(smooth, *batch, seed=(1, 2)).numpy()
    np.testing.assert_allclose(z, inner(smooth, *batch, seed=(1, 2)), rtol=0, atol=1e-4)
    np.testing.assert_array_equal(attack(smooth, *batch, seed=(1, 2)), z)
    assert excess(z, batch[0], threat).max() < 5e-7
    assert attack.deterministic == inner.deterministic
    graph = tf.function(lambda x, y: attack(smooth, x, y, seed=(1, 2)))(*batch)
    np.testing.assert_allclose(graph, z, rtol=0, atol=1e-4)


def test_steps_are_compiled_once_for_all_blocks(smooth, batch):
    inner = ATTACKS["fgsm"](LINF)
    attack = ExpectationOverTransformation(inner, samples=2)
    x, y = batch
    for _ in range(3):
        measure(smooth, attack, x, y, name="eot")
    assert mean_of(smooth, 2) is mean_of(smooth, 2) is not mean_of(smooth, 3)
    assert mean_of(smooth, 2).compiled(inner.key(), None).experimental_get_tracing_count() == 1


@pytest.mark.usefixtures("little_garbage")
def test_a_classifier_can_be_forgotten(linear, batch):
    classifier = linear(np.eye(16)[:, :3])
    pgd = ATTACKS["pgd"](LINF, steps=2, stop_early=False)
    ExpectationOverTransformation(pgd, samples=2)(classifier, *batch)
    gone = [weakref.ref(classifier), weakref.ref(mean_of(classifier, 2))]
    del classifier
    gc.collect()
    assert [one() for one in gone] == [None, None]


def test_repr_and_refusals():
    attack = ExpectationOverTransformation(ATTACKS["fgsm"](LINF), samples=8)
    text = repr(attack)
    assert text.startswith("ExpectationOverTransformation(attack=FGSM(") and "samples=8)" in text
    with pytest.raises(ConfigError, match="samples > 0"):
        ExpectationOverTransformation(ATTACKS["fgsm"](LINF), samples=0)
    with pytest.raises(ConfigError, match="stop_early=False. Received: PGD"):
        ExpectationOverTransformation(ATTACKS["pgd"](LINF), samples=8)
