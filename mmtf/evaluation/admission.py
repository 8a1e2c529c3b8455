"""Validates a classifier's input scale and logits before any error rate is measured on it."""

from typing import Any

import numpy as np

from mmtf.classifiers.admission import logits_on, tell
from mmtf.classifiers.classifier import BOX, Classifier, as_classifier
from mmtf.classifiers.loading import require_keras
from mmtf.data.dataset import Dataset
from mmtf.data.preprocessing import standardize_per_image, to_unit_box
from mmtf.errors import ConfigError, reason_of
from mmtf.evaluation.batching import default_batch_size
from mmtf.evaluation.verdict import misclassified
from mmtf.runtime.devices import resolve_precision

# Pixel ranges commonly used for training; each is tried where the declared one fits badly.
SCALES = (BOX, (0.0, 1.0), (0.0, 255.0))
SCALE_EXAMPLES = 500
LOGIT_EXAMPLES = 100


def validate_classifier(classifier: Any, dataset: Dataset, name: str | None = None) -> Classifier:
    """Validates a classifier's input shape, input scale and logits on a dataset's test images.

    The input scale is rejected if the error on the first 500 test images drops by more than 0.2,
    and to less than half, under another pixel range or another preprocessing.

    Args:
      classifier: a Classifier, a Keras model, or a function (images, training=False) -> logits.
      dataset: its test images are classified.
      name: the classifier's name in error messages; None: its own name.

    Returns:
      The Classifier.

    Raises:
      ConfigError: the classifier cannot be called on these images; its outputs have the wrong
        shape, are NaN or infinite, or are probabilities; or another pixel range than its `bounds`,
        or another preprocessing, gives a far smaller error.
    """
    classifier = as_classifier(classifier)
    name = name or classifier.name
    x, y = dataset.test(SCALE_EXAMPLES)
    try:
        validate_logits(classifier, x[:LOGIT_EXAMPLES], dataset.num_classes)
    except ConfigError as error:
        raise ConfigError(f"{name}: {error}") from error
    try:
        missed = float(np.mean(misclassified(classifier, x, y)))
    except Exception as error:  # whatever the user's layers raise in a graph, where attacks run
        raise ConfigError(
            f"{name}: Expected a model that runs in a tf.function. Received: one that does not "
            f"({reason_of(error)})."
        ) from error

    def better(images, bounds=classifier.bounds):
        """Returns the error on `images` in the range `bounds` if it is far smaller, else None."""
        other = float(np.mean(misclassified(classifier, _within(images, bounds, classifier), y)))
        return other if missed - other > 0.2 and other < 0.5 * missed else None

    raw = dataset.test_images[:SCALE_EXAMPLES]
    if dataset.preprocess is standardize_per_image and raw.dtype == np.uint8:
        plain = to_unit_box(raw).numpy()
        for bounds in SCALES:
            if (other := better(plain, bounds)) is not None:
                advice = "." if bounds == classifier.bounds else f", and pass {_advice(bounds)}."
                raise ConfigError(
                    f"{name}: Expected a classifier of images standardized one by one, as the "
                    f"paper's for CIFAR-10. Received: one whose error is {missed:.2f} on them, but "
                    f"{other:.2f} with plain pixels in {_range(bounds)}. Load the data with "
                    f"preprocess='box' (mmtf.evaluate --preprocess=box){advice}"
                )
    if dataset.preprocess is to_unit_box and raw.dtype == np.uint8:
        other = better(standardize_per_image(raw).numpy())
        if other is not None:
            raise ConfigError(
                f"{name}: Expected a classifier of plain pixels. Received: one whose error is "
                f"{missed:.2f} on them, but {other:.2f} on the same images standardized one by "
                "one. Load the data with preprocess='per_image' (mmtf.evaluate "
                "--preprocess=per_image)."
            )
    for bounds in SCALES:
        if bounds != classifier.bounds and (other := better(x, bounds)) is not None:
            raise ConfigError(
                f"{name}: Expected a classifier of pixels in {_range(classifier.bounds)}. "
                f"Received: one whose error is {missed:.2f} on them, but {other:.2f} with pixels "
                f"in {_range(bounds)}. Pass {_advice(bounds)}."
            )
    return classifier


def validate_logits(classifier: Any, x: np.ndarray, num_classes: int) -> None:
    """Validates that a classifier's outputs are finite logits of the expected shape.

    Says on stderr, once per model, where they are not the model's own output (`Classifier.note`).

    Args:
      classifier: a Classifier, a Keras model, or a function.
      x: a few input images, float32 [N, H, W, C]; from 50 images on, the outputs of a sigmoid are
        detected by their values, too.
      num_classes: expected number of logits per image.

    Raises:
      ConfigError: see `mmtf.classifiers.admission.logits_on`.
    """
    classifier = as_classifier(classifier)
    logits_on(classifier, x, num_classes, default_batch_size(x.shape[1:]))
    tell(classifier)


def attack_precision(precision: str, classifiers: list[Classifier]) -> str:
    """Resolves the precision in which attacks on all of `classifiers` compute.

    Args:
      precision: `float32`, `bfloat16`, or `auto`: bfloat16 if the hardware supports it and every
        classifier is a Keras model, else float32.
      classifiers: the classifiers under attack.

    Returns:
      `float32` or `bfloat16`.

    Raises:
      ConfigError: bfloat16 with a SavedModel or a function, whose precision is fixed.
    """
    found = resolve_precision(precision)
    if found != "float32":
        if precision == "auto" and any(one.keras_model is None for one in classifiers):
            return "float32"
        for classifier in classifiers:
            require_keras(classifier, f"attacks in {found}")
    return found


def _within(images, bounds, classifier):
    """Maps images of [-1, 1] so that the model inside `classifier` receives pixels in `bounds`."""
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
