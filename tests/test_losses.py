"""Losses of logits against NumPy in float64."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmtf import losses


@pytest.fixture
def batch(rng):
    return rng.normal(0, 3, (300, 7)).astype(np.float32), rng.integers(0, 7, 300)


def log_softmax(logits):
    logits = logits.astype(np.float64)
    top = logits.max(-1, keepdims=True)
    return logits - top - np.log(np.exp(logits - top).sum(-1, keepdims=True))


def wrong_and_true(logits, labels):
    """The largest wrong logit and the true one, example by example."""
    wrong = [max(np.delete(row, label)) for row, label in zip(logits, labels, strict=True)]
    return np.array(wrong), logits[np.arange(len(labels)), labels]


def test_cross_entropy(batch):
    logits, labels = batch
    expected = -log_softmax(logits)[np.arange(300), labels]
    found = losses.cross_entropy(tf.constant(logits), tf.constant(labels))
    assert found.dtype == tf.float32
    # Logits up to about 12: their float32 roundings, 2^-24 * 12, a few times.
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=3e-6)


def test_cross_entropy_of_large_logits_stays_finite():
    logits = tf.constant([[0.0, 1000.0], [0.0, -1000.0]])
    assert losses.cross_entropy(logits, tf.constant([0, 0])).numpy().tolist() == [1000.0, 0.0]


def test_margin(batch):
    logits, labels = batch
    wrong, true = wrong_and_true(logits, labels)
    # One float32 subtraction of the same two numbers.
    np.testing.assert_array_equal(losses.margin(tf.constant(logits), labels), wrong - true)


def test_the_sign_of_the_margin_is_the_error(batch):
    logits, labels = batch
    margins = losses.margin(tf.constant(logits), labels).numpy()
    errors = losses.errors(tf.constant(logits), tf.constant(labels)).numpy()
    np.testing.assert_array_equal(errors, (logits.argmax(1) != labels).astype(np.float32))
    np.testing.assert_array_equal(errors, (margins > 0).astype(np.float32))
    assert 0 < errors.mean() < 1


def test_losses_of_float64_logits_are_float64(batch):
    logits, labels = tf.constant(batch[0], tf.float64), tf.constant(batch[1])
    targets = (labels + 1) % 7
    found = [loss(logits, labels) for loss in losses.LOSSES.values()]
    found += [losses.loss_to_target(name)(logits, targets) for name in losses.LOSSES]
    found += [losses.targeted_dlr(logits, labels, targets), losses.kl_divergence(logits, logits)]
    found += [losses.smoothed_cross_entropy(logits, labels, 0.1)]
    assert {one.dtype for one in found} == {tf.float64}
    wrong, true = wrong_and_true(batch[0].astype(np.float64), batch[1])
    ranked = -np.sort(-batch[0].astype(np.float64), -1)
    expected = (wrong - true) / (ranked[:, 0] - ranked[:, 2])
    np.testing.assert_allclose(losses.dlr(logits, labels), expected, rtol=1e-10)


def test_half_precision_logits_are_judged_in_float32():
    logits = tf.cast([[0.0, 3.0]], tf.bfloat16)
    for loss in (losses.cross_entropy, losses.margin):
        assert loss(logits, tf.constant([0])).dtype == tf.float32
    # log(1 + e^3); bfloat16 would give 3.047.
    assert float(losses.cross_entropy(logits, [0])[0]) == pytest.approx(np.log1p(np.exp(3)), 1e-6)


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("label", [0, 1, 2])
def test_nan_logits_are_errors(place, label):
    logits = np.zeros((2, 3), np.float32)
    logits[:, label] = 5.0
    logits[1, place] = np.nan
    assert losses.errors(tf.constant(logits), tf.constant([label] * 2)).numpy().tolist() == [0, 1]


def test_errors_takes_int64_labels():
    logits = tf.constant([[0.0, 1.0]] * 2)
    assert losses.errors(logits, tf.constant([0, 1], tf.int64)).numpy().tolist() == [1, 0]


def test_smoothed_labels_are_those_of_keras():
    logits = np.random.default_rng(0).normal(size=[6, 5]).astype(np.float32) * 3
    labels = np.arange(6) % 5
    hot = np.eye(5, dtype=np.float32)[labels]
    theirs = keras.losses.categorical_crossentropy(
        hot, logits, from_logits=True, label_smoothing=0.2
    )
    ours = losses.smoothed_cross_entropy(tf.constant(logits), tf.constant(labels), 0.2)
    # Sums of five terms below 20 in float32.
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)
    plain = losses.cross_entropy(tf.constant(logits), tf.constant(labels))
    none = losses.smoothed_cross_entropy(tf.constant(logits), tf.constant(labels))
    np.testing.assert_array_equal(none, plain)
