"""Counts of linear classifiers, whose smoothed versions are known, and their reproducibility."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from mmtf import smoothing
from mmtf.classifiers.classifier import Classifier
from mmtf.errors import ConfigError, RunError
from mmtf.smoothing.noisy_votes import blocks_of, counts

SHAPE = (2, 3, 1)


@pytest.fixture
def halves(linear, rng):
    """A linear classifier of two classes, images, and their signed distances to its boundary."""
    w = rng.normal(size=6).astype(np.float32)
    x = rng.uniform(-1, 1, (5, *SHAPE)).astype(np.float32)
    distance = x.reshape(5, 6).astype(np.float64) @ w.astype(np.float64) / np.linalg.norm(w)
    return linear(np.stack([w, np.zeros(6)], 1)), x, distance


def test_counts_follow_the_normal_distribution(halves):
    model, x, distance = halves
    n, p = 20_000, stats.norm.cdf(distance / 0.7)
    found = counts(model, x, 0.7, n)
    assert (found.sum(1) == n).all()
    np.testing.assert_array_less(abs(found[:, 0] - n * p), 5 * np.sqrt(n * p * (1 - p)) + 1)


def test_certified_radii_approach_a_linear_models_exact_one_from_below(halves):
    """The smoothed class changes at the distance |w.x + b| / ||w|| to the boundary."""
    model, x, distance = halves
    gaps = []
    for n in (1000, 100_000):
        found = smoothing.certify(model, x, sigma=1.0, n=n)
        sure = found.label != smoothing.ABSTAIN
        assert (found.label == np.where(distance > 0, 0, 1))[sure].all()
        assert (found.radius <= abs(distance))[sure].all()
        gaps.append(abs(distance) - found.radius)
    assert sure.all()
    # alpha = .001 is 3.09 standard deviations of p, and the estimate itself has one, up to 4 more.
    p = stats.norm.cdf(abs(distance))
    spread = np.sqrt(p * (1 - p) / 100_000) / stats.norm.pdf(distance)
    assert (gaps[1] < 7.1 * spread).all() and (gaps[1] < gaps[0]).all()


def test_a_constant_classifier_has_the_largest_radius(linear, rng):
    x = rng.uniform(-1, 1, (2, *SHAPE)).astype(np.float32)
    found = smoothing.certify(linear(np.zeros([6, 3]), [0, 1, 0]), x, sigma=0.5, n=1500, n0=10)
    assert found.label.tolist() == [1, 1]
    assert found.radius.tolist() == [smoothing.largest_radius(0.5, 1500)] * 2


def test_on_the_boundary_both_procedures_abstain(linear):
    w = np.stack([np.ones(6), -np.ones(6)], 1)
    x = np.zeros([1, *SHAPE], np.float32)
    assert smoothing.certify(linear(w), x, sigma=1.0, n=1000).label.tolist() == [-1]
    assert smoothing.predict(linear(w), x, sigma=1.0, n=1000).tolist() == [-1]


def small_net():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((4, 4, 1)),
            keras.layers.Conv2D(3, 3, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(4),
        ]
    )


def test_neither_batch_nor_order_changes_a_count(rng):
    model, x = small_net(), rng.uniform(-1, 1, (5, 4, 4, 1)).astype(np.float32)
    whole = counts(model, x, 1.0, 1700, seed=3)
    order = [4, 1, 0, 3, 2]
    np.testing.assert_array_equal(
        counts(model, x[order], 1.0, 1700, 3, indices=order), whole[order]
    )
    alone = [counts(model, x[i : i + 1], 1.0, 1700, 3, indices=[i])[0] for i in range(5)]
    np.testing.assert_array_equal(alone, whole)


def test_seeds_streams_images_and_blocks_have_noise_of_their_own(linear):
    model, x = linear(np.stack([np.ones(6), -np.ones(6)], 1)), np.zeros([2, *SHAPE], np.float32)
    first, second = counts(model, x, 1.0, 5000)[:, 0]
    others = [counts(model, x[:1], 1.0, 5000, 1), counts(model, x[:1], 1.0, 5000, stream=0)]
    # Equal blocks would give five times the count of one of them.
    single = counts(model, x[:1], 1.0, 1000)[0, 0]
    assert len({first, second, 5 * single, *(one[0, 0] for one in others)}) == 5


def test_it_computes_in_float32_and_in_inference_mode(rng):
    model, x = small_net(), rng.uniform(-1, 1, (3, 4, 4, 1)).astype(np.float32)
    model.layers[1].moving_mean.assign(rng.normal(size=3))
    before = [weight.numpy() for weight in model.weights]
    low = counts(Classifier(model, precision="bfloat16"), x, 1.0, 2000)
    np.testing.assert_array_equal(low, counts(Classifier(model), x, 1.0, 2000))
    for one, same in zip(before, model.weights, strict=True):
        np.testing.assert_array_equal(one, same)


def test_noisy_images_are_not_clipped():
    def beyond(x, training):
        outside = tf.cast(tf.reduce_any(abs(x) > 1.0, [1, 2, 3]), tf.float32)
        return tf.stack([1.0 - outside, outside], 1)

    x = np.ones([1, *SHAPE], np.float32)
    # All six pixels stay below 1 with the probability 2^-6 at most.
    assert counts(beyond, x, 1.0, 1000)[0, 1] > 950


def test_blocks_hold_all_draws_and_fit_in_memory():
    for n in (1, 100, 999, 1001, 12_345):
        for shape in ((28, 28, 1), (32, 32, 3), (224, 224, 3), (2000, 2000, 3)):
            number, size = blocks_of(n, shape)
            assert (number - 1) * size < n <= number * size
            assert size == 1 or size * np.prod(shape) <= 2**20


def test_errors(linear):
    model, x = linear(np.ones([6, 2])), np.zeros([2, *SHAPE], np.float32)
    for arguments, message in (
        ((0.0, 10), "sigma > 0"),
        ((1.0, 0), "n > 0"),
        ((1.0, 10, -1), "seed in"),
    ):
        with pytest.raises(ConfigError, match=message):
            counts(model, x, *arguments)
    with pytest.raises(ConfigError, match="an index for each image"):
        counts(model, x, 1.0, 10, indices=[1])
    with pytest.raises(RunError, match="NaN in 10 of 10 draws of image 7"):
        counts(linear(np.full([6, 2], np.nan)), x[:1], 1.0, 10, indices=[7])
