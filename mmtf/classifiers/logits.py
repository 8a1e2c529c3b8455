"""Checks that a classifier returns logits rather than probabilities."""

from typing import Any

import keras
import numpy as np

from mmtf.errors import ConfigError
from mmtf.kernels.keras_internals import producer_of

SQUASHING = {"softmax": "Remove the softmax", "sigmoid": "Remove the sigmoid"}
WHY = "its saturation hides gradients from attacks"


def require_logits(classifier: Any, logits: np.ndarray) -> None:
    """Raises an error if a classifier returns probabilities.

    A Sequential or functional Keras model is rejected if it ends in a softmax or sigmoid. Any
    classifier is rejected for values that a trained net's logits do not take: rows that are
    nonnegative and sum to 1, or, for at least 50 images, all values in [0, 1] with a maximum above
    0.5.

    Args:
      classifier: a Keras model, or any function.
      logits: its outputs for a few images, float [N, C].

    Raises:
      ConfigError: the outputs are probabilities; the message says which layer to remove.
    """
    logits = np.asarray(logits, np.float32)
    name = last_activation(classifier)
    if name in SQUASHING:
        raise ConfigError(
            f"Expected a model that gives logits. Received: one that ends in a {name}. "
            f"{SQUASHING[name]}: {WHY}. Keras' losses then take from_logits=True."
        )
    if (logits >= 0).all() and np.allclose(logits.sum(-1), 1, atol=1e-3):
        raise ConfigError(
            "Expected a model that gives logits. Received: rows that are positive and sum to 1, as "
            f"a softmax gives. {SQUASHING['softmax']}: {WHY}."
        )
    if len(logits) >= 50 and logits.min() >= 0 and 0.5 < logits.max() <= 1:
        raise ConfigError(
            "Expected a model that gives logits. Received: values in [0, 1] alone, as a sigmoid "
            f"gives. {SQUASHING['sigmoid']}: {WHY}."
        )


def last_activation(classifier: Any) -> str | None:
    """Name of the activation of a Keras model's output, as `softmax`; None if it is unknown."""
    layer = classifier
    while isinstance(layer, keras.Model):
        if not getattr(layer, "outputs", None):  # subclassed: the output layer is unknown
            return None
        layer = producer_of(layer.outputs[0])  # not always the last of model.layers
    if isinstance(layer, keras.layers.Softmax):
        return "softmax"
    activation = getattr(layer, "activation", None)
    return getattr(activation, "__name__", None)
