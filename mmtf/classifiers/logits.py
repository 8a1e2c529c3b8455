"""Checks that a classifier returns logits rather than probabilities."""

from typing import Any

import keras
import numpy as np

from mmtf.classifiers.classifier import as_classifier
from mmtf.classifiers.outputs import Output, symbolic_output
from mmtf.classifiers.unwrapping import squashing_end
from mmtf.errors import ConfigError
from mmtf.kernels.keras_internals import place_of, producer_of

SQUASHING = {"softmax": "Remove the softmax", "sigmoid": "Remove the sigmoid"}
WHY = "its saturation hides gradients from attacks"


def require_logits(classifier: Any, logits: np.ndarray) -> None:
    """Raises an error if a classifier returns probabilities.

    A Sequential or functional Keras model is rejected if it ends in a softmax or sigmoid that
    `Classifier` cannot take off. Any classifier is rejected for values that a trained net's logits
    do not take: rows that are nonnegative and sum to 1, or, for at least 50 images, all values in
    [0, 1] with a maximum above 0.5 (of two classes, [0, z] with z in [0, 1]).

    Args:
      classifier: a Classifier, a Keras model, or any function.
      logits: what the Classifier gives for a few images, float [N, C].

    Raises:
      ConfigError: the outputs are probabilities; the message says which layer to remove.
    """
    logits = np.asarray(logits, np.float32)
    classifier = as_classifier(classifier)
    name = last_activation(classifier.model, classifier.output)
    if name in SQUASHING and squashing_end(classifier.model, classifier.output) is None:
        raise ConfigError(
            f"Expected a model that gives logits. Received: one that ends in a {name}. "
            f"{SQUASHING[name]}: {WHY}. Keras' losses then take from_logits=True."
        )
    if name == "linear":  # whatever their values are, they are logits
        return
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


def last_activation(classifier: Any, output: Output = None) -> str | None:
    """Name of the activation of a Keras model's output, as `softmax`; None if it is unknown."""
    tensor = symbolic_output(classifier, output)
    layer = producer_of(tensor)  # not always the last of model.layers
    while isinstance(layer, keras.Model):
        if not getattr(layer, "outputs", None):  # subclassed: the output layer is unknown
            return None
        tensor = layer.outputs[place_of(tensor)]
        layer = producer_of(tensor)
    if isinstance(layer, keras.layers.Softmax):
        return "softmax"
    activation = getattr(layer, "activation", None)
    return getattr(activation, "__name__", None)
