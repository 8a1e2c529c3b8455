"""A classifier as it was at an earlier step of its training."""

from typing import Any

import numpy as np
import tensorflow as tf

from mmtf.classifiers.classifier import Classifier
from mmtf.classifiers.state import holding, variables_of
from mmtf.functional import substitute


class FrozenClassifier:
    """A copy of a classifier's weights, evaluated by calling the classifier's own model with them.

    A clone of the model would be built from its config, which lacks some state (the mean and
    variance of an adapted Normalization layer), and not every model can be cloned. Calling the
    model itself with the stored weights works for every model and gives the outputs that the
    classifier had when they were stored. tf.Variables that layers hold beside their weights are
    stored, too.

    Args:
      classifier: built. All weights are stored, trainable or not (moving statistics, for example).
        Under a distribution strategy, call inside its scope.

    Attributes:
      weights: the stored weights, in the order of the model's.
      checkpoint: trackable object to save: the stored weights under the names of the model's own.

    Example:
      >>> import keras
      >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2, use_bias=False)])
      >>> model.set_weights([np.array([[2.0, 0.0]])])
      >>> frozen = FrozenClassifier(Classifier(model))
      >>> model.set_weights([np.array([[5.0, 0.0]])])
      >>> float(model(tf.ones([1, 1]))[0, 0]), float(frozen(tf.ones([1, 1]))[0, 0])
      (5.0, 2.0)
    """

    def __init__(self, classifier: Classifier):
        self._classifier = classifier
        self._originals = classifier.model.weights
        self.weights = [
            tf.Variable(tf.convert_to_tensor(one), trainable=False) for one in self._originals
        ]
        self._beside = list(variables_of(classifier.model).values())
        self._kept = [tf.Variable(one, trainable=False) for one in self._beside]
        copies = zip([*self._originals, *self._beside], [*self.weights, *self._kept], strict=True)
        self.checkpoint = _tree(classifier.model, list(copies))

    def __call__(self, x: Any, training: bool = False) -> tf.Tensor:
        """Logits [N, classes] of images [N, H, W, C] in [-1, 1], with the stored weights."""
        with substitute(self._originals, self.weights), holding(self._beside, self._kept):
            return self._classifier(x, training=training)

    def predict(self, x: Any, batch_size: int = 32, verbose: Any = 0) -> np.ndarray:
        """Logits of many images, a batch at a time, as keras.Model.predict.

        Args:
          x: float [N, H, W, C] in [-1, 1].
          batch_size: images per call.
          verbose: without effect; keras.Model.predict has it.
        """
        parts = [self(x[i : i + batch_size]) for i in range(0, len(x), batch_size)]
        return np.concatenate(parts)

    def store(self) -> None:
        """Replaces the stored weights by the classifier's current weights."""
        for stored, current in zip(self.weights, self._originals, strict=True):
            stored.assign(tf.convert_to_tensor(current))
        for stored, current in zip(self._kept, self._beside, strict=True):
            stored.assign(current)

    def restore(self) -> None:
        """Replaces the classifier's current weights by the stored weights."""
        for stored, current in zip(self.weights, self._originals, strict=True):
            current.assign(tf.convert_to_tensor(stored))
        for stored, current in zip(self._kept, self._beside, strict=True):
            current.assign(stored)

    def get_weights(self) -> list[np.ndarray]:
        """The stored weights as arrays."""
        return [weight.numpy() for weight in self.weights]


def _tree(model: tf.Module, copies: list[tuple[Any, tf.Variable]]) -> tf.Module:
    """Trackable objects with the names of those of `model` and copies in place of its weights.

    Only objects that lead to a weight have a counterpart. Checkpoints of a clone of the model can
    be restored into the result.
    """
    view = tf.train.TrackableView(model)
    children = {id(one): view.children(one) for one in view.descendants()}
    originals = [one for one, _ in copies]
    made = {id(one): copy for one, copy in copies}
    leading = set(made)
    while True:
        more = {
            parent
            for parent, names in children.items()
            if parent not in leading and any(id(child) in leading for child in names.values())
        }
        if not more:
            break
        leading |= more
    made |= {one: tf.Module() for one in leading if one not in made}
    for parent in leading.intersection(children).difference(map(id, originals)):
        for name, child in children[parent].items():
            if id(child) in leading:
                setattr(made[parent], name, made[id(child)])
    return made.get(id(model), tf.Module())
