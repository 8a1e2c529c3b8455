"""Steps that shorten: their lengths, where they lead, and that no length is traced anew."""

import math

import numpy as np
import pytest
import tensorflow as tf

from mmtf.attacks.iterated import DECAYS, IFGSM, PGD, IteratedAttack, decay_factors
from mmtf.classifiers.classifier import as_classifier
from mmtf.threat import ThreatModel


def test_the_decay_factors():
    assert decay_factors("constant", 3) == [1.0, 1.0, 1.0]
    assert decay_factors("linear", 4) == [1.0, 0.75, 0.5, 0.25]
    expected = [(1 + math.cos(math.pi * k / 4)) / 2 for k in range(4)]
    assert decay_factors("cosine", 4) == expected and expected[2] == pytest.approx(0.5)


@pytest.mark.parametrize("decay", DECAYS)
@pytest.mark.parametrize("steps", [1, 2, 7, 40])
def test_the_first_step_is_step_size_and_none_is_zero(decay, steps):
    lengths = PGD(ThreatModel(eta=0.3), steps=steps, step_size=0.1, decay=decay).step_sizes()
    assert lengths[0] == 0.1 and len(lengths) == steps and min(lengths) > 0
    assert lengths == sorted(lengths, reverse=True)
    # By default all together are 2.5 eta, whatever the decay; a sum of 40 doubles.
    lengths = PGD(ThreatModel(eta=0.3), steps=steps, decay=decay).step_sizes()
    assert sum(lengths) == pytest.approx(0.75, rel=1e-14)


@pytest.mark.parametrize("decay", DECAYS)
def test_the_path_on_a_linear_model(decay, linear):
    """Each step goes eta-wards along sign(d) by its own length: the sum, until the ball ends."""
    weights = np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.0], [0.0, 2.0]])
    classifier, x, y = linear(weights), tf.zeros([3, 2, 2, 1]), tf.zeros(3, tf.int32)
    up = np.array([-1, 1, -1, 1]).reshape(2, 2, 1)
    attack = IFGSM(ThreatModel(eta=0.9), steps=5, step_size=0.1, decay=decay, stop_early=False)
    z = attack(classifier, x, y)
    # Five sums of numbers below 1 in float32.
    np.testing.assert_allclose(z[0], sum(attack.step_sizes()) * up, rtol=0, atol=5 * 2**-24)


def test_a_shorter_last_step_ends_nearer_to_a_peak():
    """l = -|x - 0.5| per pixel: constant steps of 0.3 from 0 swing 0.1 and 0.2 about the peak."""

    def peaked(x, training):
        height = -tf.reduce_sum(tf.abs(x - 0.5), [1, 2, 3])
        return tf.stack([tf.zeros_like(height), height], 1)

    x, y, ends = tf.zeros([1, 2, 2, 1]), tf.zeros(1, tf.int32), {}
    for decay in DECAYS:
        attack = IteratedAttack(
            ThreatModel(eta=1.0), steps=30, step_size=0.3, decay=decay, stop_early=False
        )
        ends[decay] = np.abs(attack(peaked, x, y) - 0.5).max()
    assert ends["constant"] > 0.09
    assert ends["linear"] <= 0.3 / 30 + 1e-6 and ends["cosine"] < 0.01


def test_all_lengths_share_one_trace(linear, rng):
    classifier = linear(np.zeros((4, 2)), [1.0, 0.0])  # nobody falls: the block keeps its size
    attack = PGD(ThreatModel(eta=0.3), steps=6, decay="cosine")
    x = tf.constant(rng.uniform(-1, 1, (5, 2, 2, 1)), tf.float32)
    attack(classifier, x, tf.zeros(5, tf.int32))
    step = as_classifier(classifier).compiled((attack.step_key(), "step"), None)
    assert step.experimental_get_tracing_count() == 1
