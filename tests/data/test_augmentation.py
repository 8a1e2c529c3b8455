"""Crops, flips and affine maps: what they do to pixels, and what they depend on."""

import numpy as np
import tensorflow as tf
from scipy import ndimage

from mmtf.data.augmentation import ANGLE, SCALE, SHEAR, SHIFT, Augmentation, warped


def images(count=40, side=16):
    random = np.random.default_rng(0)
    return random.uniform(-1, 1, [count, side, side + 8, 2]).astype(np.float32)


def changed(words, x, step=3, seed=1, start=0, batch_size=None):
    change = Augmentation(words, seed=seed, batch_size=batch_size or len(x))
    return change(tf.constant(x), tf.constant(step), start).numpy()


def test_a_flip_mirrors_about_half_of_the_images_left_to_right():
    x = images()
    z = changed(("flip",), x)
    kept = np.array([np.array_equal(a, b) for a, b in zip(x, z, strict=True)])
    mirrored = np.array([np.array_equal(a[:, ::-1], b) for a, b in zip(x, z, strict=True)])
    assert (kept ^ mirrored).all()
    # Binomial(40, 1/2): outside of 8 to 32 with probability 1e-4.
    assert 8 <= mirrored.sum() <= 32


def test_a_crop_is_a_shift_of_the_image_continued_by_reflection():
    x = images()
    z = changed(("crop",), x)
    found = []
    for one, moved in zip(x, z, strict=True):
        # NumPy's own reflection; an eighth of 16 and of 24 pixels.
        wide = np.pad(one, [(2, 2), (3, 3), (0, 0)], mode="reflect")
        places = [
            (i, j)
            for i in range(5)
            for j in range(7)
            if np.array_equal(wide[i : i + 16, j : j + 24], moved)
        ]
        assert len(places) == 1
        found += places
    assert len(set(found)) > 15  # of 35 shifts, 40 draws


def test_it_depends_on_seed_step_and_position_alone():
    x = images(12)
    for words in (("crop", "flip"), ("affine",)):
        whole = changed(words, x)
        np.testing.assert_array_equal(whole, changed(words, x))
        parts = [changed(words, x[i : i + 4], start=i, batch_size=12) for i in range(0, 12, 4)]
        np.testing.assert_array_equal(whole, np.concatenate(parts))
        assert not np.array_equal(whole, changed(words, x, step=4))
        assert not np.array_equal(whole, changed(words, x, seed=2))


def test_an_affine_map_interpolates_as_scipy_does():
    x = images(3)
    maps = np.float32(
        [
            [[1, 0, 0], [0, 1, 0]],
            [[1.05, 0.2, 1.3], [-0.1, 0.9, -2.6]],
            [[0.8, -0.3, -4.0], [0.4, 1.2, 0.5]],
        ]
    )
    found = warped(tf.constant(x), tf.constant(maps)).numpy()
    center = np.array([7.5, 11.5])
    for one, (a, t), moved in zip(x, [(m[:, :2], m[:, 2]) for m in maps], found, strict=True):
        offset = center + t - a @ center
        given = {"offset": offset, "order": 1, "mode": "nearest"}
        expected = [ndimage.affine_transform(one[..., c], a, **given) for c in range(2)]
        # Places of up to 24 pixels in float32, times a slope of at most 2.
        np.testing.assert_allclose(moved, np.stack(expected, -1), atol=2 * 24 * 2**-22)
    np.testing.assert_array_equal(found[0], x[0])


def test_affine_maps_are_small_and_around_the_center():
    side = 33
    rows, columns = np.meshgrid(*[np.arange(side) - 16.0] * 2, indexing="ij")
    ramps = np.stack([rows, columns], -1)[None].repeat(200, 0).astype(np.float32)
    z = changed(("affine",), ramps)
    # The image of two ramps is the map itself, where it stays inside.
    inner = z[:, 12:21, 12:21]
    assert np.abs(z[:, 16, 16]).max() <= SHIFT * side + 1e-4
    down, right = inner[:, 1:] - inner[:, :-1], inner[:, :, 1:] - inner[:, :, :-1]
    slopes = np.stack([down[:, 0, 0], right[:, 0, 0]], -1)
    np.testing.assert_allclose(down, down[:, :1, :1].repeat(8, 1).repeat(9, 2), atol=1e-4)
    determinants = np.linalg.det(slopes)
    assert determinants.min() >= 1 / (1 + SCALE) ** 2 - 1e-3
    assert determinants.max() <= 1 / (1 - SCALE) ** 2 + 1e-3
    # Each slope is a product of a scale, a sine or cosine, and 1 or the shear.
    steepest = (np.sin(ANGLE) + SHEAR) / (1 - SCALE)
    assert steepest / 2 < np.abs(slopes[:, [0, 1], [1, 0]]).max() <= steepest + 1e-3
