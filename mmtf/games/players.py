"""The arguments of a game's methods: players, a batch, and the context of a training step."""

import contextlib
import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from mmtf.classifiers.classifier import Classifier
from mmtf.games.frozen import FrozenClassifier


class Batch(NamedTuple):
    """Examples of one replica.

    Attributes:
      x: images, float32 [N, H, W, C] in [-1, 1].
      y: labels, int32 [N].
    """

    x: tf.Tensor
    y: tf.Tensor


@dataclasses.dataclass(frozen=True)
class Players:
    """The models of a game and their optimizers or solvers; checkpoints save all of them.

    Attributes:
      models: by name. `classifier` is the defender's Keras model; a game may add others, such as
        `attacker`, an attack network, or `frozen`, the classifier with earlier weights.
      updaters: by name, the optimizer of a player, or the solver that moves several players.
      adapted: the Classifier around `models["classifier"]`, for a model with another pixel range
        than [-1, 1] or with a preprocessing; None: the model takes images in [-1, 1].
    """

    models: dict[str, keras.Model | FrozenClassifier]
    updaters: dict[str, Any]
    adapted: Classifier | None = None

    @functools.cached_property
    def classifier(self) -> Classifier:
        """The defender: `classifier(x, training=...)` gives logits of images in [-1, 1].

        Its layers compute in the precision in force where it is called: in a training step, that of
        the training.
        """
        return (self.adapted or Classifier(self.models["classifier"])).at(None)

    @property
    def networks(self) -> list[keras.Model]:
        """The Keras models among `models`, the classifier's first."""
        return [one for one in self.models.values() if isinstance(one, keras.Model)]


@dataclasses.dataclass(frozen=True)
class StepContext:
    """The context of a training step on one replica.

    Attributes:
      round: number of the round, int32 scalar.
      seed: random seed of this step and replica, int32 [2].
      global_batch_size: number of examples over all replicas.
      replicas: number of replicas.
      dropout: dropout(*models) is a context manager: inside it the dropout masks of the models
        follow from `seed`, so that entering it again gives the same masks. With
        also=[(variable, tensor)] these variables have the values of the tensors.
    """

    round: tf.Tensor
    seed: tf.Tensor
    global_batch_size: int
    replicas: int
    dropout: Callable[..., contextlib.AbstractContextManager[None]]

    def mean(self, per_example: tf.Tensor) -> tf.Tensor:
        """This replica's share of the mean over the global batch: the shares sum to the mean.

        Args:
          per_example: [N], a value for each example of this replica.
        """
        return tf.reduce_sum(per_example) / self.global_batch_size
