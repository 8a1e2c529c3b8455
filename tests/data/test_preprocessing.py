"""uint8 -> [-1, 1], against NumPy."""

import numpy as np
import pytest

from mmtf.data import standardize_per_image, to_unit_box


def test_to_unit_box():
    values = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    scaled = to_unit_box(values).numpy()
    assert scaled.dtype == np.float32
    assert scaled.min() == -1.0 == scaled[0, 0, 0, 0] and scaled.max() == 1.0
    # A division and a subtraction of numbers up to 2: two roundings of 2^-24.
    expected = values.astype(np.float64) * 2 / 255 - 1
    np.testing.assert_allclose(scaled, expected, rtol=0, atol=1.3e-7)


def test_standardize_per_image(rng):
    images = rng.integers(0, 256, (20, 8, 9, 3)).astype(np.uint8)
    images[10:] //= 16  # another mean and deviation
    images[5, 0, 0, 0], images[5, 1:] = 255, 3  # beyond two deviations
    expected = []
    for image in images.astype(np.float64):
        standard = (image - image.mean()) / image.std()
        expected.append(np.clip(standard, -2, 2) / 2)
    result = standardize_per_image(images).numpy()
    assert result.dtype == np.float32
    assert result[5, 0, 0, 0] == 1.0 and np.abs(result).max() == 1.0
    # Means of up to 255 are off by some 2^-24 * 255 = 1.5e-5, and are divided by twice a
    # deviation of at least 4.
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", [8, 32, 224])
def test_a_constant_image_gives_zeros(size):
    values = np.array([0, 1, 77, 251, 255], np.uint8)
    images = np.broadcast_to(values[:, None, None, None], (5, size, size, 3)).copy()
    np.testing.assert_array_equal(standardize_per_image(images), np.zeros(images.shape))
