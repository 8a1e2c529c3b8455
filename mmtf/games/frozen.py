"""A classifier as it was at an earlier step of its training."""

from typing import Any

import numpy as np
import tensorflow as tf

from mmtf.classifiers.classifier import Classifier
from mmtf.functional import substitute


class FrozenClassifier:
    """Stored weights of a classifier, with which its own model is called.

    A clone would be built from the model's config, and so loses what is not in there (the mean and
    variance of an adapted Normalization layer) and cannot be made of every model. Calling the same
    model with other weights works for every model and computes what the classifier did.

    Args:
      classifier: built. All weights are stored, trainable or not (moving statistics, for example).
        Under a distribution strategy, call inside its scope.

    Attributes:
      weights: the stored weights, in the order of the model's.
      checkpoint: what to save: the stored weights under the names that a clone of the model has.

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
        """Stores the classifier's present weights in place of the earlier ones."""
        for stored, current in zip(self.weights, self._originals, strict=True):
            stored.assign(tf.convert_to_tensor(current))

    def get_weights(self) -> list[np.ndarray]:
        """The stored weights as arrays."""
        return [weight.numpy() for weight in self.weights]


def _tree(model: tf.Module, originals: list, copies: list[tf.Variable]) -> tf.Module:
    """Trackable objects named like those of `model`, with copies in place of its weights.

    Only what leads to a weight has a counterpart. Checkpoints of a clone can be restored into it.
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
