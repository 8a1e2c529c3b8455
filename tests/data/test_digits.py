"""The embedded digits: the same examples everywhere."""

import numpy as np
import pytest
import sklearn.datasets

from mmtf.data import load_data, load_digits


@pytest.fixture(scope="module")
def digits():
    return load_digits()


def test_sizes(digits):
    assert digits.train_images.shape == (1437, 28, 28, 1)
    assert digits.test_images.shape == (360, 28, 28, 1)
    assert digits.train_images.dtype == np.uint8 and digits.num_classes == 10
    assert set(digits.test_labels) == set(range(10))
    assert "360 test examples" in digits.note


def test_the_split_is_fixed_and_disjoint(digits):
    source = sklearn.datasets.load_digits()
    order = np.random.RandomState(20170401).permutation(1797)
    np.testing.assert_array_equal(digits.test_labels, source.target[order[:360]])
    np.testing.assert_array_equal(digits.train_labels, source.target[order[360:]])
    # All images of the source differ, so equal ones would be one example on both sides.
    train = {image.tobytes() for image in digits.train_images}
    test = {image.tobytes() for image in digits.test_images}
    assert (len(train), len(test), len(train & test)) == (1437, 360, 0)
    again = load_data("digits")
    np.testing.assert_array_equal(again.test_images, digits.test_images)


def test_images_are_bilinearly_resized(digits):
    order = np.random.RandomState(20170401).permutation(1797)[:20]
    gray = sklearn.datasets.load_digits().images[order] * (255 / 16)
    # Row i of `weights` mixes the two source pixels about (i + 1/2) 8/28 - 1/2, ends repeated.
    centers = np.clip((np.arange(28) + 0.5) * 8 / 28 - 0.5, 0, 7)
    weights = np.maximum(0, 1 - np.abs(centers[:, None] - np.arange(8)))
    expected = weights @ gray @ weights.T
    # Rounding to whole gray levels, and float32 noise on a tie.
    np.testing.assert_allclose(digits.test_images[:20, ..., 0], expected, rtol=0, atol=0.501)
