"""Crops and flips: what they do to pixels, and what they depend on."""

import numpy as np
import tensorflow as tf

from mmtf.data.augmentation import Augmentation


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
    whole = changed(("crop", "flip"), x)
    np.testing.assert_array_equal(whole, changed(("crop", "flip"), x))
    parts = [
        changed(("crop", "flip"), x[i : i + 4], start=i, batch_size=12) for i in range(0, 12, 4)
    ]
    np.testing.assert_array_equal(whole, np.concatenate(parts))
    assert not np.array_equal(whole, changed(("crop", "flip"), x, step=4))
    assert not np.array_equal(whole, changed(("crop", "flip"), x, seed=2))
