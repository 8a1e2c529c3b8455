"""Detectors with closed forms, and the classifier behind them."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmtf.bounds.graph import Graph
from mmtf.classifiers.classifier import Classifier
from mmtf.classifiers.detectors import (
    DivergenceDetector,
    ReconstructionDetector,
    calibrated,
    jensen_shannon,
    threshold_at,
)
from mmtf.classifiers.export import save_keras, save_serving
from mmtf.classifiers.guarded import Guarded
from mmtf.classifiers.smoothed import Smoothed
from mmtf.data import to_unit_box
from mmtf.errors import ConfigError
from mmtf.mixtures import Mixture
from mmtf.smoothing import counts

SHAPE = (4, 4, 1)


def scaling(factor):
    """The auto-encoder p -> factor p."""
    inputs = keras.Input(SHAPE)
    return keras.Model(inputs, keras.layers.Rescaling(factor)(inputs))


@pytest.fixture
def x(rng):
    return tf.constant(rng.uniform(-0.9, 0.9, (6, *SHAPE)).astype(np.float32))


def test_the_identity_changes_and_rejects_nothing(smooth, x):
    same = scaling(1.0)
    rules = [
        ReconstructionDetector(autoencoder=same, p=1.0, threshold=0.0),
        ReconstructionDetector(autoencoder=same, p=2.0, threshold=0.0),
        DivergenceDetector(autoencoder=same, classifier=smooth, temperature=10.0, threshold=1e-9),
    ]
    # (x + 1) / 2 and back rounds twice: pixels that are multiples of 1/8 do not.
    x = tf.round(x * 8) / 8
    guarded = Guarded(smooth, reformer=same, detectors=rules)
    for rule in rules:
        np.testing.assert_array_equal(rule.scores(x), np.zeros(6))
    assert guarded.accepts(x).numpy().all()
    np.testing.assert_array_equal(guarded(x), smooth(x, training=False))


def test_a_plain_classifier_accepts_every_image(smooth, x):
    plain = Classifier(smooth)
    assert plain.rejection(x).shape == (6, 0)
    assert plain.accepts(x).numpy().tolist() == [True] * 6
    assert Guarded(smooth).accepts(x).numpy().tolist() == [True] * 6


@pytest.mark.parametrize(
    ("rate", "expected"),
    [(0.05, 96.0), (0.01, 100.0), (0.29, 72.0), (0.001, 100.0), (0.0, 100.0)],
)
def test_the_threshold_is_an_order_statistic(rate, expected, rng):
    """k = floor(rate n) of 1, ..., 100; k = 0 must not select the smallest score."""
    scores = rng.permutation(np.arange(1, 101))
    found = threshold_at(scores, rate)
    assert found == expected
    assert (scores > found).sum() <= rate * 100


@pytest.mark.parametrize(("scores", "rate"), [([], 0.1), ([np.nan], 0.1), ([1.0], 1.0)])
def test_thresholds_that_mean_nothing_are_refused(scores, rate):
    with pytest.raises(ConfigError):
        threshold_at(scores, rate)


def test_calibration_keeps_the_rate(rng):
    held_out = rng.uniform(-1, 1, (203, *SHAPE)).astype(np.float32)
    rule = calibrated(ReconstructionDetector(autoencoder=scaling(0.5)), held_out, 0.1, 50)
    rejected = (rule.rejection(tf.constant(held_out)).numpy() > 0).sum()
    assert rejected == 19  # those above the 20th largest of 203


def test_divergence_has_its_closed_forms():
    equal = tf.constant([[1.0, 2.0, 3.0]])
    assert float(jensen_shannon(equal, equal)[0]) == 0.0
    apart = tf.constant([[500.0, 0.0]]), tf.constant([[0.0, 500.0]])
    np.testing.assert_allclose(jensen_shannon(*apart), [math.log(2)], rtol=1e-6)
    p, q = np.array([0.9, 0.1]), np.array([0.4, 0.6])
    m = (p + q) / 2
    expected = ((p * np.log(p / m)).sum() + (q * np.log(q / m)).sum()) / 2
    logits = [tf.constant(np.log(one)[None], tf.float32) for one in (p, q)]
    np.testing.assert_allclose(jensen_shannon(*logits), [expected], rtol=1e-5)


def test_the_divergence_has_a_gradient_where_a_probability_is_0():
    logits = tf.constant([[500.0, 0.0]])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        found = jensen_shannon(logits, tf.constant([[0.0, 500.0]]))
    assert np.isfinite(tape.gradient(found, logits)).all()


@pytest.mark.parametrize("p", [1.0, 2.0])
def test_gradients_pass_the_detector(x, p):
    """score = mean (1 - a)^p v^p for AE(v) = a v and v = (x + 1) / 2."""
    rule = ReconstructionDetector(autoencoder=scaling(0.75), p=p, threshold=0.1)
    with tf.GradientTape() as tape:
        tape.watch(x)
        rejection = rule.rejection(x)
    pixels = (x.numpy() + 1) / 2
    score = (0.25**p * pixels**p).mean((1, 2, 3))
    np.testing.assert_allclose(rejection, (score - 0.1) / 0.1, rtol=1e-4, atol=1e-6)
    expected = 0.25**p * p * pixels ** (p - 1) / 16 / 2 / 0.1
    np.testing.assert_allclose(tape.gradient(rejection, x), expected, rtol=1e-4)


def test_gradients_pass_the_reformer(linear, rng, x):
    """For AE(v) = a v, in [-1, 1]: x -> a x + a - 1, so gradients shrink by a."""
    weights = rng.normal(size=(16, 3)).astype(np.float32)
    guarded = Guarded(linear(weights), reformer=scaling(0.75))
    with tf.GradientTape() as tape:
        tape.watch(x)
        first = guarded(x)[:, 0]
    slope = np.broadcast_to(0.75 * weights[:, 0].reshape(SHAPE), x.shape)
    np.testing.assert_allclose(tape.gradient(first, x), slope, rtol=1e-5)


def test_nan_is_rejected(smooth):
    rule = ReconstructionDetector(autoencoder=scaling(0.5), threshold=1.0)
    x = tf.constant(np.full((1, *SHAPE), np.nan, np.float32))
    assert not Guarded(smooth, detectors=[rule]).accepts(x).numpy()[0]


def test_what_determines_it_is_in_the_fingerprint(x):
    net = keras.Sequential([keras.Input(SHAPE), keras.layers.Flatten(), keras.layers.Dense(3)])
    one = scaling(0.5)

    def made(threshold, p=1.0, reformer=None):
        rule = ReconstructionDetector(autoencoder=one, p=p, threshold=threshold)
        return Guarded(net, detectors=[rule], reformer=reformer).fingerprint

    assert made(0.1) == made(0.1)
    assert len({made(0.1), made(0.2), made(0.1, 2.0), made(0.1, reformer=one)}) == 4
    guarded = Guarded(net, reformer=one)
    assert guarded.at("bfloat16").at("float32") is guarded
    with pytest.raises(ConfigError, match="without a rule of rejection"):
        guarded.as_keras()


def test_nothing_takes_the_model_inside_for_the_guarded_one(tmp_path):
    net = keras.Sequential([keras.Input(SHAPE), keras.layers.Flatten(), keras.layers.Dense(3)])
    guarded = Guarded(net, reformer=scaling(0.5))
    assert Graph(net).nodes
    with pytest.raises(ConfigError, match="a Keras model for bounds"):
        Graph(guarded)
    with pytest.raises(ConfigError, match="a Keras model to save"):
        save_keras(guarded, str(tmp_path / "net.keras"))
    with pytest.raises(ConfigError, match="a Keras model to save"):
        save_serving(guarded, to_unit_box, SHAPE, str(tmp_path / "served"))


def test_what_does_not_count_rejections_refuses_a_classifier_that_rejects(smooth, x):
    rule = ReconstructionDetector(autoencoder=scaling(0.5), p=1.0, threshold=0.1)
    guarded = Guarded(smooth, detectors=[rule])
    for make in (
        lambda: Smoothed(guarded, sigma=0.5),
        lambda: Mixture([guarded, smooth], [0.5, 0.5]),
        lambda: counts(guarded, x.numpy(), 0.5, 10),
    ):
        with pytest.raises(ConfigError, match="a classifier that never rejects an image, for"):
            make()
