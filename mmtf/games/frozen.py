"""A classifier as it was at an earlier step of its training."""

from typing import Any

import numpy as np
import tensorflow as tf

from mmtf.classifiers.classifier import Classifier
from mmtf.functional import substitute


class FrozenClassifier:
    """A copy of a classifier's weights, evaluated by calling the classifier's own model with them.

    A clone of the model would be built from its config, which lacks some state (the mean and
    variance of an adapted Normalization layer), and not every model can be cloned. Calling the
    model itself with the stored weights works for every model and gives the outputs that the
    classifier had when they were stored.

    Args:
      classifier: built. All weights are stored, trainable or not (moving statistics, for example).
        Under a distribution strategy, call inside its scope.

    Attributes:
      weights: the stored weights, in the order of the model's.
      checkpoint: trackable object to save: the stored weights under the names of the model's own.

    Example:
      >>> import keras
      >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
      >>> model.set_weights([np.array([[2.0]])])
      >>> frozen = FrozenClassifier(Classifier(model))
      >>> model.set_weights([np.array([[5.0]])])
      >>> float(model(tf.ones([1, 1]))[0, 0]), float(frozen(tf.ones([1, 1]))[0, 0])
      (5.0, 2.0)
    """

    def __init__(self, classifier: Classifier):
        self._classifier = classifier
        self._originals = classifier.model.weights
        self.weights = [
            tf.Variable(tf.convert_to_tensor(one), trainable=False) for one in self._originals
        ]
        self.checkpoint = _tree(classifier.model, self._originals, self.weights)

    def __call__(self, x: Any, training: bool = False) -> tf.Tensor:
        """Logits [N, classes] of images [N, H, W, C] in [-1, 1], with the stored weights."""
        with substitute(self._originals, self.weights):
            return self._classifier(x, training=training)

    def store(self) -> None:
        """Replaces the stored weights by the classifier's current weights."""
        for stored, current in zip(self.weights, self._originals, strict=True):
            stored.assign(tf.convert_to_tensor(current))

    def get_weights(self) -> list[np.ndarray]:
        """The stored weights as arrays."""
        return [weight.numpy() for weight in self.weights]


def _tree(model: tf.Module, originals: list, copies: list[tf.Variable]) -> tf.Module:
    """Trackable objects with the names of those of `model` and copies in place of its weights.

    Only objects that lead to a weight have a counterpart. Checkpoints of a clone of the model can
    be restored into the result.
    """
    view = tf.train.TrackableView(model)
    children = {id(one): view.children(one) for one in view.descendants()}
    made = {id(one): copy for one, copy in zip(originals, copies, strict=True)}
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
