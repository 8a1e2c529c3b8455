"""Which classifiers are admitted, and by what name."""

import os

import keras
import numpy as np
import pytest

from mmtf.classifiers.loading import Defense, admit, load_defense
from mmtf.data import standardize_per_image, to_unit_box
from mmtf.errors import ConfigError


def brightness(scale=1.0):
    """Logits (m, -m) of the mean pixel m, of the box's scale."""
    layers = [keras.Input((2, 3, 1)), keras.layers.Rescaling(scale), keras.layers.Flatten()]
    model = keras.Sequential([*layers, keras.layers.Dense(2)])
    model.set_weights([np.array([[1.0, -1.0]] * 6, np.float32), np.zeros(2, np.float32)])
    return model


def test_plain_pixels_where_standardized_ones_are_given(make_dataset):
    """Standardized images all have the mean 0: the brightness says nothing about them."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (40, 1, 1, 1)) // 2 + rng.integers(0, 128, (40, 2, 3, 1))
    labels = (to_unit_box(images).numpy().mean((1, 2, 3)) < 0).astype(int)
    given = {"test_images": images.astype(np.uint8), "test_labels": labels, "num_classes": 2}
    given["train_labels"] = np.arange(10) % 2
    standardized = make_dataset(preprocess=standardize_per_image, **given)
    with pytest.raises(ConfigError, match="plain pixels in .-1, 1.. Load .*=box[)][.]$"):
        admit(Defense("d", brightness()), standardized)
    admit(Defense("d", brightness()), make_dataset(**given))


def test_standardized_images_where_plain_pixels_are_given(make_dataset):
    """Dark images: only beside their own mean is the first pixel bright or not."""
    images = np.random.default_rng(0).integers(0, 60, (40, 2, 3, 1)).astype(np.uint8)
    labels = (standardize_per_image(images).numpy()[:, 0, 0, 0] < 0).astype(int)
    given = {"test_images": images, "test_labels": labels, "num_classes": 2}
    given["train_labels"] = np.arange(10) % 2
    first = brightness()
    kernel = np.zeros([6, 2], np.float32)
    kernel[0] = [1.0, -1.0]
    first.set_weights([kernel, np.zeros(2, np.float32)])
    with pytest.raises(ConfigError, match="Expected a classifier of plain pixels.*per_image"):
        admit(Defense("d", first), make_dataset(**given))
    admit(Defense("d", first), make_dataset(preprocess=standardize_per_image, **given))


def test_a_name_that_is_no_text_is_made_one(tmp_path):
    name = os.fsdecode(b"caf\xe9.keras")
    kept = tmp_path / "model.keras"
    brightness().save(kept)
    os.rename(kept, tmp_path / name)
    assert load_defense(str(tmp_path / name)).name == "caf?"
