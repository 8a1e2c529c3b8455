"""The arguments of a game's methods: players, a batch, and the context of a training step."""

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from mmtf import losses
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


@dataclasses.dataclass
class Observed:
    """What a step computes beside its metrics, collected while it runs or is traced.

    Attributes:
      loss: this replica's share of what the min step descends.
      outputs: (logits [N, C], labels [N], weights [N] or None) of the adversarial examples of the
        min step, one entry for each part of the batch.
    """

    loss: tf.Tensor | None = None
    outputs: list[tuple[tf.Tensor, tf.Tensor, tf.Tensor | None]] = dataclasses.field(
        default_factory=list
    )


@dataclasses.dataclass(frozen=True)
class StepContext:
    """The context of a training step on one replica.

    Attributes:
      round: number of the round, int32 scalar.
      seed: random seed of this step and replica, int32 [2].
      global_batch_size: number of examples over all replicas: an int, or a float32 scalar.
      replicas: number of replicas.
      dropout: dropout(*models) is a context manager: inside it the dropout masks of the models
        follow from `seed`, so that entering it again gives the same masks. With
        also=[(variable, tensor)] these variables have the values of the tensors.
      weights: float32 [N], weights of the examples; None: each is 1.
      strength: share of eta that the attacker has, in (0, 1], float32 scalar; None: 1.
      observed: where `observe` collects; None: nothing is collected.
      label_smoothing: of the loss of the min step, in [0, 1).
    """

    round: tf.Tensor
    seed: tf.Tensor
    global_batch_size: int | tf.Tensor
    replicas: int
    dropout: Callable[..., contextlib.AbstractContextManager[None]]
    weights: tf.Tensor | None = None
    strength: tf.Tensor | None = None
    observed: Observed | None = None
    label_smoothing: float = 0.0

    def cross_entropy(self, logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """The loss of the min step for each example, float32 [N]: with `label_smoothing`.

        Objectives call it; attacks and certified bounds keep `mmtf.losses.cross_entropy`.

        Args:
          logits: [N, C].
          labels: int [N].
        """
        return losses.smoothed_cross_entropy(logits, labels, self.label_smoothing)

    def mean(self, per_example: tf.Tensor) -> tf.Tensor:
        """This replica's share of the mean over the global batch: the shares sum to the mean.

        With weights it is the sum of weight times value, divided by the number of examples: an
        example of weight k contributes what k copies of it would, as in Keras' `fit`.

        Args:
          per_example: [N], a value for each example of this replica.
        """
        if self.weights is not None:
            per_example = tf.cast(self.weights, per_example.dtype) * per_example
        return tf.reduce_sum(per_example) / self.global_batch_size

    def select(self, choose: Callable[[tf.Tensor], tf.Tensor]) -> "StepContext":
        """The context of some of the examples, or of the examples in another order.

        Args:
          choose: maps the values [N] of the examples to those of the examples chosen.
        """
        if self.weights is None:
            return self
        return dataclasses.replace(self, weights=choose(self.weights))

    def at_weights(
        self, variables: Sequence[keras.Variable], tensors: Sequence[tf.Tensor]
    ) -> "StepContext":
        """The context whose `dropout` also gives `variables` the values `tensors`."""
        pairs = list(zip(variables, tensors, strict=True))
        return dataclasses.replace(self, dropout=functools.partial(self.dropout, also=pairs))

    def shrink(self, z: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        """x + strength (z - x): in the ball of radius strength times eta if z is in that of eta."""
        return z if self.strength is None else x + self.strength * (z - x)

    def observe(self, logits: tf.Tensor, labels: tf.Tensor) -> None:
        """Reports the logits that the min step has for adversarial examples, for metrics.

        `fit` computes its metrics from them. A game that reports none costs it a forward pass more.

        Args:
          logits: [N, C].
          labels: int [N], in the same order; so are `weights`.
        """
        if self.observed is not None:
            self.observed.outputs.append((logits, labels, self.weights))


@dataclasses.dataclass(frozen=True)
class Players:
    """The models of a game and their optimizers or solvers; checkpoints save all of them.

    Attributes:
      models: by name. `classifier` is the defender's Keras model; a game may add others, such as
        `attacker`, an attack network, or `frozen`, the classifier with earlier weights.
      updaters: by name, the optimizer of a player, or the solver that moves several players.
      adapted: the Classifier around `models["classifier"]`, for a model with another pixel range
        than [-1, 1] or with a preprocessing; None: the model takes images in [-1, 1].
      bounds: of certified games, the `mmtf.bounds.training.TrainingBounds` of the classifier.
    """

    models: dict[str, keras.Model | FrozenClassifier]
    updaters: dict[str, Any]
    adapted: Classifier | None = None
    bounds: Any = None

    @functools.cached_property
    def classifier(self) -> Classifier:
        """The defender: `classifier(x, training=...)` gives logits of images in [-1, 1].

        Its layers compute in the precision in force where it is called: in a training step, that of
        the training.
        """
        return (self.adapted or Classifier(self.models["classifier"])).at(None)

    def shrunk(self, x: tf.Tensor, context: StepContext) -> "Players":
        """Players of a game whose radius is `context.strength` times eta, around the images `x`.

        Its classifier takes z to the logits at x + strength (z - x), so that an attack with radius
        eta on it finds images of the smaller ball.
        """
        if context.strength is None:
            return self
        inner = self.classifier

        def smaller(z: tf.Tensor, training: bool = False) -> tf.Tensor:
            return inner(context.shrink(z, x), training=training)

        return dataclasses.replace(self, adapted=Classifier(smaller, precision=None))

    @property
    def networks(self) -> list[keras.Model]:
        """The Keras models among `models`, the classifier's first."""
        return [one for one in self.models.values() if isinstance(one, keras.Model)]
