"""Which classifiers are measured: input scale, preprocessing, what else is refused."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmtf.classifiers.classifier import Classifier
from mmtf.data import Dataset, standardize_per_image, to_unit_box
from mmtf.errors import ConfigError
from mmtf.evaluation.admission import validate_classifier


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
        validate_classifier(brightness(), standardized)
    validate_classifier(brightness(), make_dataset(**given))


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
        validate_classifier(first, make_dataset(**given))
    validate_classifier(first, make_dataset(preprocess=standardize_per_image, **given))


@pytest.mark.parametrize("high, scale", [(1.0, 2.0), (255.0, 2.0 / 255.0)])
def test_another_range_of_pixels_is_told_and_accepted_when_said(make_dataset, high, scale):
    """Logits (m, -m) of the mean pixel's distance from the middle of [0, high]."""
    images = np.random.default_rng(0).integers(0, 256, (40, 2, 3, 1)).astype(np.uint8)
    labels = (to_unit_box(images).numpy().mean((1, 2, 3)) < 0).astype(int)
    data = make_dataset(
        test_images=images, test_labels=labels, num_classes=2, train_labels=np.arange(10) % 2
    )
    layers = [keras.Input((2, 3, 1)), keras.layers.Rescaling(scale, -1.0), keras.layers.Flatten()]
    model = keras.Sequential([*layers, keras.layers.Dense(2)])
    model.set_weights([np.array([[1.0, -1.0]] * 6, np.float32), np.zeros(2, np.float32)])
    advice = rf"pixels in .0, {high:g}.. Pass bounds=.0, {high:g}.: .* --bounds=0,{high:g}[.]$"
    with pytest.raises(ConfigError, match=advice):
        validate_classifier(model, data)
    said = validate_classifier(Classifier(model, bounds=(0, high)), data)
    assert said.bounds == (0.0, high)
    # The plain range said where another is meant is told, too.
    plain = brightness()
    with pytest.raises(ConfigError, match=r"pixels in .-1, 1.. Pass bounds=.-1, 1."):
        validate_classifier(Classifier(plain, bounds=(0, high)), data)


def test_no_more_images_are_classified_at_once_than_asked(rng):
    """Whatever is checked: logits, the pixel range, another preprocessing."""
    most = []

    def model(x, training=False):
        most.append(int(tf.shape(x)[0]))
        return tf.stack([-tf.reduce_sum(x, (1, 2, 3)), tf.reduce_sum(x, (1, 2, 3))], 1)

    classifier = Classifier(model)
    classifier.compiled = lambda key, function: functools.partial(function, classifier)
    x = rng.integers(0, 256, (30, 4, 4, 1)).astype(np.uint8)
    y = np.arange(30) % 2
    data = Dataset(
        name="raw", train_images=x, train_labels=y, test_images=x, test_labels=y, num_classes=2
    )
    validate_classifier(classifier, data, batch_size=7)
    assert max(most) == 7 and len(most) > 15
