"""What a classifier's outputs must be to be raised and attacked as logits."""

from typing import Any

import keras
import numpy as np

from mmtf.errors import ConfigError
from mmtf.kernels.keras_internals import producer_of

SQUASHING = {"softmax": "Remove the softmax", "sigmoid": "Remove the sigmoid"}
WHY = "its saturation hides gradients from attacks"


def require_logits(classifier: Any, logits: np.ndarray) -> None:
    """Refuses probabilities.

    A Sequential or functional Keras model is known by its last layer; any other classifier by its
    values: rows that are positive and sum to 1, or values in [0, 1] alone, of at least 50 images,
    as no trained net's logits are.

    Args:
      classifier: a Keras model, or any function.
      logits: float [N, C], of a few images.

    Raises:
      ConfigError: saying what to remove.
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
    """`softmax`, `sigmoid`, another activation's name, or None where it cannot be told."""
    layer = classifier
    while isinstance(layer, keras.Model):
        if not getattr(layer, "outputs", None):  # subclassed: its layers stand in any order
            return None
        layer = producer_of(layer.outputs[0])  # need not be the last in the list of layers
    if isinstance(layer, keras.layers.Softmax):
        return "softmax"
    activation = getattr(layer, "activation", None)
    return getattr(activation, "__name__", None)
