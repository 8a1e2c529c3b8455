"""A classifier as a Keras model that gives logits of images in [-1, 1]."""

from typing import Any

import keras

from mmtf.errors import ConfigError
from mmtf.radius import PIXELS


def as_keras_model(classifier: Any) -> keras.Model:
    """Returns a Keras model with the classifier's weights, see `Classifier.as_keras`."""
    model = classifier.keras_model
    if model is None:
        raise ConfigError(f"Expected a Keras model. Received: {classifier.model!r}.")
    if classifier.note is not None or classifier.output is not None:
        return _Logits(classifier)
    if classifier.bounds == PIXELS and classifier.preprocessing is None:
        return model
    shape = getattr(model, "input_shape", None)
    if not isinstance(shape, tuple):
        raise ConfigError(f"Expected a model of one known input shape. Received: {shape}.")
    inputs = keras.Input(shape[1:])
    adapted = keras.layers.Lambda(classifier.inputs_of, output_shape=shape[1:])(inputs)
    return keras.Model(inputs, model(adapted), name=f"{model.name}_of_the_box")


class _Logits(keras.Model):
    """A Classifier as a Keras model with the weights of its own."""

    def __init__(self, classifier):
        super().__init__(name=f"logits_of_{classifier.model.name}")
        self.inner = classifier.model
        self._classifier = classifier.at(None)

    def call(self, x, training=False):
        return self._classifier(x, training=training)
