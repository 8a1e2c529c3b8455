"""What every model must be that is trained, evaluated or exported: one check for all three."""

import weakref
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mmtf.classifiers.classifier import Classifier, as_classifier
from mmtf.classifiers.logits import require_logits
from mmtf.errors import ConfigError, reason_of, require
from mmtf.kernels.keras_internals import layers_of
from mmtf.runtime.console import say
from mmtf.runtime.devices import full_float32

_TOLD: weakref.WeakSet = weakref.WeakSet()


def require_model(classifier: Classifier, image_shape: Sequence[int]) -> None:
    """Checks what can be known of a Keras model without calling it; other callables pass.

    Args:
      classifier: around the model.
      image_shape: (H, W, C).

    Raises:
      ConfigError: the model takes integers, strings, several inputs or images with the channels
        first; or its weights hold NaN or infinity.
    """
    model = classifier.keras_model
    if model is None:
        return
    _require_inputs(model, tuple(image_shape), own=classifier.preprocessing is None)
    for weight in model.weights:
        value = tf.convert_to_tensor(weight)
        if value.dtype.is_floating and not bool(tf.reduce_all(tf.math.is_finite(value))):
            raise ConfigError(
                f"Expected finite weights. Received: NaN or infinity in {weight.path} of "
                f"{model.name}, as a training that diverged leaves them. Load weights from before."
            )


def logits_on(
    classifier: Any, images: Any, num_classes: int | None = None, batch_size: int | None = None
) -> np.ndarray:
    """Calls a model on a few images, in float32, and checks that it gives logits.

    Args:
      classifier: a Classifier, a Keras model, or a function.
      images: float32 [N, H, W, C] in [-1, 1]; from 50 images on, the outputs of a sigmoid are
        detected by their values, too.
      num_classes: expected number of logits per image; None: any, at least 2.
      batch_size: images per call; None: all.

    Returns:
      float32 [N, classes].

    Raises:
      ConfigError: see `require_model`; the model cannot be called on these images; several outputs,
        wrong shape, NaN or infinity, or probabilities instead of logits.
    """
    classifier, images = as_classifier(classifier), np.asarray(images, np.float32)
    require_model(classifier, images.shape[1:])
    full, size = classifier.at("float32"), batch_size or len(images)
    shape = tuple(images.shape[1:])
    try:
        with full_float32():
            logits = np.concatenate(
                [
                    np.asarray(full(tf.constant(images[i : i + size]), training=False))
                    for i in range(0, len(images), size)
                ]
            )
    except ConfigError:
        raise
    except Exception as error:  # whatever the user's own layers or functions raise
        raise ConfigError(
            f"Expected a model of images {shape}. Received: one that cannot be called on them "
            f"({reason_of(error)})."
        ) from error
    given, row = logits.shape[1:], logits.ndim == 2 and len(logits) == len(images)
    if not row or (num_classes is not None and given != (num_classes,)):
        raise ConfigError(
            f"Expected a model from images {shape} to {num_classes or 'a row of'} logits. "
            f"Received: output shape {given if row else f'{logits.shape} of {len(images)} images'}."
            + (f" {classifier.note}" if classifier.note else "")
        )
    if not np.isfinite(logits).all():
        raise ConfigError("Expected finite logits from the classifier. Received: NaN or infinity.")
    require_logits(classifier, logits)
    return logits


def require_no_rejection(classifier: Classifier, purpose: str) -> None:
    """Raises ConfigError if a classifier rejects images, which `purpose` would not count."""
    told = f"a classifier that never rejects an image, for {purpose}"
    require(not classifier.rejects, told, f"{classifier.name}, a {type(classifier).__name__}")


def tell(classifier: Classifier) -> None:
    """Prints a classifier's note, once per model, on stderr."""
    if classifier.note is None or classifier.keras_model in _TOLD:
        return
    _TOLD.add(classifier.keras_model)
    say(classifier.note)


def _require_inputs(model, image_shape, own):
    inputs = getattr(model, "inputs", None) or []
    if len(inputs) > 1:
        raise ConfigError(
            f"Expected a model of one input, the images. Received: {len(inputs)} inputs, "
            f"{', '.join(one.name for one in inputs)}."
        )
    for inner in layers_of(model, include_self=True):
        for one in getattr(inner, "inputs", None) or [] if isinstance(inner, keras.Model) else []:
            kind, ours = keras.backend.standardize_dtype(one.dtype), inner is model
            if (ours or one.shape[1:] == image_shape) and "float" not in kind:
                raise ConfigError(
                    f"Expected a model with an Input of floats. Received: an Input of {kind}"
                    f"{'' if ours else f' in {inner.name}'}, to which pixels in [-1, 1] would be "
                    "cast. Give it keras.Input(shape), of floats; for pixels in [0, 255] put "
                    "Rescaling(127.5, 127.5) behind it, or pass bounds=(0, 255)."
                )
    if not own or not inputs:
        return
    shape, (height, width, channels) = tuple(inputs[0].shape[1:]), image_shape
    if shape != image_shape and shape == (channels, height, width):
        raise ConfigError(
            f"Expected a model of images {image_shape}, channels last. Received: one of images "
            f"{shape}, channels first. Put a Permute in front: keras.Sequential([keras.Input("
            f"{image_shape}), keras.layers.Permute((3, 1, 2)), model])."
        )
    for layer in layers_of(model):
        first = getattr(layer, "data_format", None) == "channels_first"
        if first and _input_shape(layer) == image_shape and height != channels:
            raise ConfigError(
                f"Expected layers of images with the channels last. Received: {layer.name} with "
                f"data_format='channels_first' on images {image_shape}: it would take the rows for "
                "channels. Give it data_format='channels_last', or put a Permute in front."
            )


def _input_shape(layer):
    try:
        return tuple(layer.input.shape[1:])
    except (AttributeError, ValueError):  # several inputs, or several calls
        return None
