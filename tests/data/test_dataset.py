"""Data are checked at the door."""

import re

import numpy as np
import pytest

from mmtf.data import DataError, standardize_per_image, to_unit_box

FLOATS = np.linspace(-1, 1, 60, dtype=np.float32).reshape(10, 2, 3, 1)
NAN = FLOATS.copy()
NAN[3, 1, 1, 0] = np.nan
INFINITE = FLOATS.copy()
INFINITE[3, 1, 1, 0] = np.inf
LABELS = np.arange(10) % 3


@pytest.mark.parametrize(
    "changes, message",
    [
        (
            {"train_images": FLOATS[..., 0]},
            "of shape (10, 2, 3). For gray images, use images[..., None].",
        ),
        ({"train_images": FLOATS.tolist()}, "NumPy array [N, H, W, C]. Received: list"),
        ({"train_images": FLOATS.astype(np.float64)}, "uint8 or float32 images"),
        ({"train_images": FLOATS.astype(np.int32)}, "Received: int32. Convert pixels in [0, 255]"),
        ({"train_images": FLOATS * 1.01}, "in [-1, 1]. Received: [-1.01, 1.01]"),
        ({"train_images": NAN}, "finite pixels in the train split of 'tiny'. Received: NaN"),
        ({"train_images": INFINITE}, "in [-1, 1]. Received: [-1, inf]"),
        ({"train_images": FLOATS[:0], "train_labels": LABELS[:0]}, "at least one example"),
        ({"train_images": FLOATS[:, :, :2]}, "of one shape. Received: (2, 2, 1) and (2, 3, 1)"),
        ({"train_labels": LABELS + 1}, "labels of the train split of 'tiny' in [0, 3)"),
        ({"train_labels": LABELS - 1}, "Received: [-1, 1]"),
        (
            {"train_labels": LABELS[:9]},
            "10 integer labels [N], or one-hot rows [N, 3], in the train split",
        ),
        ({"train_labels": LABELS[:, None]}, "of shape (10, 1). Use labels[:, 0]."),
        ({"train_labels": 0.9 * np.eye(3)[LABELS] + 0.05}, "one-hot labels of the train split"),
        ({"train_labels": np.eye(4)[LABELS]}, "one-hot rows [N, 3], in the train split"),
        ({"train_labels": LABELS.astype(np.float32)}, "Received: float32"),
        (
            {"test_labels": LABELS[:3]},
            "4 integer labels [N], or one-hot rows [N, 3], in the test split of 'tiny'",
        ),
        ({"test_images": FLOATS[:4, ..., 0]}, "the test split of 'tiny'"),
        ({"num_classes": 1}, "num_classes >= 2. Received: 1"),
    ],
)
def test_unusable_data_are_refused(make_dataset, changes, message):
    with pytest.raises(DataError, match=re.escape(message)):
        make_dataset(**changes)


def test_usable_data_are_taken(make_dataset):
    for labels in (LABELS.astype(np.uint8), LABELS.tolist(), LABELS.astype(np.int64)):
        data = make_dataset(train_images=FLOATS, train_labels=labels)
        assert data.train_labels.dtype == np.int32
        np.testing.assert_array_equal(data.train_labels, LABELS)
    assert data.image_shape == (2, 3, 1)


def test_raw_images_are_scaled_and_floats_left(make_dataset):
    raw = make_dataset(preprocess=standardize_per_image)
    images, labels = raw.train()
    np.testing.assert_array_equal(images, standardize_per_image(raw.train_images))
    np.testing.assert_array_equal(labels, raw.train_labels)
    scaled = make_dataset(train_images=FLOATS, preprocess=standardize_per_image)
    np.testing.assert_array_equal(scaled.train()[0], FLOATS)


def test_counts(make_dataset):
    data = make_dataset()
    everything, labels = data.test()
    assert everything.dtype == np.float32 and len(everything) == len(labels) == 4
    for count in (1, 3, 4, 9):  # more than there are: all
        images, some = data.test(count)
        np.testing.assert_array_equal(images, everything[:count])
        np.testing.assert_array_equal(some, labels[:count])
    with pytest.raises(DataError, match="count >= 0"):
        data.test(-1)


def test_every_block_is_read(make_dataset):
    """More images than are preprocessed at once (4096)."""
    images = np.random.default_rng(0).integers(0, 256, (8200, 1, 1, 2)).astype(np.uint8)
    data = make_dataset(
        train_images=images,
        train_labels=np.zeros(8200, int),
        test_images=images[:2],
        test_labels=[0, 1],
    )
    np.testing.assert_array_equal(data.train()[0], to_unit_box(images))
    np.testing.assert_array_equal(data.train(4097)[0], to_unit_box(images[:4097]))


def test_holdout_splits_the_training_data(make_dataset):
    data = make_dataset(preprocess=standardize_per_image)
    held = data.holdout(3, seed=1)
    assert (len(held.train_images), len(held.test_images)) == (7, 3)
    pairs = {
        (image.tobytes(), int(label))
        for images, labels in (
            (held.train_images, held.train_labels),
            (held.test_images, held.test_labels),
        )
        for image, label in zip(images, labels, strict=True)
    }
    # 10 different pairs in all: the two parts are disjoint, whole, and hold no test example.
    assert pairs == {
        (image.tobytes(), int(label))
        for image, label in zip(data.train_images, data.train_labels, strict=True)
    }
    assert held.preprocess is standardize_per_image and held.num_classes == 3
    assert "test split is not used" in held.note and held.name != data.name


def test_holdout_is_a_matter_of_the_seed(make_dataset):
    data = make_dataset()
    chosen = [data.holdout(4, seed).test_images.tobytes() for seed in (0, 0, 1)]
    assert chosen[0] == chosen[1] != chosen[2]


@pytest.mark.parametrize("count", [-1, 0, 10, 11])
def test_an_impossible_holdout_is_refused(make_dataset, count):
    with pytest.raises(DataError, match=f"0 < count < 10 held out. Received: {count}"):
        make_dataset().holdout(count)


def test_what_is_fitted_to_the_training_split_goes_by_what_preprocess_does(make_dataset):
    def halved():
        return make_dataset(preprocess=lambda x: to_unit_box(x) / 2)

    def quartered():
        return make_dataset(preprocess=lambda x: to_unit_box(x) / 4)

    assert halved().training_digest == halved().training_digest != quartered().training_digest
