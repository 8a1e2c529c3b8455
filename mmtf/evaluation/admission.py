"""Validates a classifier's input scale and logits before any error rate is measured on it."""

from typing import Any

import numpy as np
import tensorflow as tf

from mmtf.classifiers.classifier import BOX, Classifier, as_classifier
from mmtf.classifiers.loading import require_keras
from mmtf.classifiers.logits import require_logits
from mmtf.data.dataset import Dataset
from mmtf.data.preprocessing import standardize_per_image, to_unit_box
from mmtf.errors import ConfigError, reason_of
from mmtf.evaluation.batching import default_batch_size
from mmtf.evaluation.verdict import misclassified
from mmtf.runtime.devices import full_float32, resolve_precision

# Pixel ranges that users train on.
SCALES = (BOX, (0.0, 1.0), (0.0, 255.0))
SCALE_EXAMPLES = 500
LOGIT_EXAMPLES = 100


def validate_classifier(classifier: Any, dataset: Dataset, name: str | None = None) -> Classifier:
    """Validates the input scale and the logits; returns the Classifier.

    Args:
      classifier: a Classifier, a Keras model, or a function (images, training=False) -> logits.
      dataset: whose images it is to classify.
      name: in messages; None: the classifier's own.

    Raises:
      ConfigError: it takes images of another shape, gives another number of logits, or
        probabilities, or NaN; or pixels of another range than its `bounds`, or preprocessed in
        another way, suit it far better.
    """
    classifier = as_classifier(classifier)
    name = name or classifier.name
    x, y = dataset.test(SCALE_EXAMPLES)
    try:
        validate_logits(classifier, x[:LOGIT_EXAMPLES], dataset.num_classes)
    except (ValueError, tf.errors.InvalidArgumentError, TypeError) as error:
        if isinstance(error, ConfigError):
            raise ConfigError(f"{name}: {error}") from error
        raise ConfigError(
            f"{name}: Expected a classifier of images {dataset.image_shape}. Received: one that "
            f"cannot be called on them ({reason_of(error)})."
        ) from error
    missed = float(np.mean(misclassified(classifier, x, y)))

    def better(images, bounds=classifier.bounds):
        """The error on `images` in the range `bounds`, where it is far smaller; else None."""
        other = float(np.mean(misclassified(classifier, _within(images, bounds, classifier), y)))
        return other if missed - other > 0.2 and other < 0.5 * missed else None

    raw = dataset.test_images[:SCALE_EXAMPLES]
    if dataset.preprocess is standardize_per_image and raw.dtype == np.uint8:
        plain = to_unit_box(raw).numpy()
        for bounds in SCALES:
            if (other := better(plain, bounds)) is not None:
                advice = "." if bounds == classifier.bounds else f", and say {_advice(bounds)}."
                raise ConfigError(
                    f"{name}: Expected a classifier of images standardized one by one, as the "
                    f"paper has CIFAR-10's. Received: one that errs on {missed:.2f} of them, but "
                    f"on {other:.2f} with plain pixels in {_range(bounds)}. Load the data with "
                    f"preprocess='box' (mmtf.evaluate --preprocess=box){advice}"
                )
    if dataset.preprocess is to_unit_box and raw.dtype == np.uint8:
        other = better(standardize_per_image(raw).numpy())
        if other is not None:
            raise ConfigError(
                f"{name}: Expected a classifier of plain pixels. Received: one that errs on "
                f"{missed:.2f} of them, but on {other:.2f} of the same images standardized one by "
                "one. Load the data with preprocess='per_image' (mmtf.evaluate "
                "--preprocess=per_image)."
            )
    for bounds in SCALES:
        if bounds != classifier.bounds and (other := better(x, bounds)) is not None:
            raise ConfigError(
                f"{name}: Expected a classifier of pixels in {_range(classifier.bounds)}. "
                f"Received: one that errs on {missed:.2f} of them, but on {other:.2f} with pixels "
                f"in {_range(bounds)}. Say {_advice(bounds)}."
            )
    return classifier


def validate_logits(classifier: Any, x: np.ndarray, num_classes: int) -> None:
    """Validates that a classifier's outputs can be attacked as logits.

    Args:
      classifier: a Classifier, a Keras model, or a function.
      x: a few input images, float32.
      num_classes: how many logits are expected.

    Raises:
      ConfigError: wrong shape, NaN, or probabilities instead of logits.
    """
    classifier = as_classifier(classifier)
    with full_float32():
        full, size = classifier.at("float32"), default_batch_size(x.shape[1:])
        logits = np.concatenate(
            [full(tf.constant(x[i : i + size]), training=False) for i in range(0, len(x), size)]
        )
    if logits.shape != (len(x), num_classes):
        raise ConfigError(
            f"Expected logits of shape {(len(x), num_classes)} from the classifier. "
            f"Received: {logits.shape}."
        )
    if not np.isfinite(logits).all():
        raise ConfigError("Expected finite logits from the classifier. Received: NaN or infinity.")
    require_logits(classifier.model, logits)


def attack_precision(precision: str, classifiers: list[Classifier]) -> str:
    """What attacks on all of `classifiers` compute in, `float32` or `bfloat16`.

    Args:
      precision: one of these, or `auto`: bfloat16 where the hardware computes in it and every
        classifier is a Keras model.

    Raises:
      ConfigError: bfloat16 with a SavedModel or a function, whose types are fixed.
    """
    found = resolve_precision(precision)
    if found != "float32":
        if precision == "auto" and any(one.keras_model is None for one in classifiers):
            return "float32"
        for classifier in classifiers:
            require_keras(classifier, f"attacks in {found}")
    return found


def _within(images, bounds, classifier):
    """Images of the box for which the model is given what those of range `bounds` would be."""
    low, high = bounds
    own_low, own_high = classifier.bounds
    pixels = low + (images + 1.0) * ((high - low) / 2.0)
    if classifier.bounds == BOX:
        return pixels
    return ((pixels - own_low) / ((own_high - own_low) / 2.0) - 1.0).astype(np.float32)


def _range(bounds):
    return f"[{bounds[0]:g}, {bounds[1]:g}]"


def _advice(bounds):
    low, high = (f"{one:g}" for one in bounds)
    return (
        f"bounds=({low}, {high}): mmtf.Classifier(model, bounds=({low}, {high})), or mmtf.evaluate "
        f"--bounds={low},{high}"
    )
