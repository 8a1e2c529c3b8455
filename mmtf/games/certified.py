"""`CertifiedGame`: training on certified bounds of the margins, and what its games share."""

import dataclasses
from typing import Any

import tensorflow as tf

from mmtf import losses
from mmtf.bounds.affine import Pair
from mmtf.bounds.training import TrainingBounds
from mmtf.classifiers.classifier import as_classifier
from mmtf.errors import ConfigError, require_number
from mmtf.games.base import Game, training_pgd
from mmtf.games.players import Batch, Players, StepContext
from mmtf.threat import ThreatModel


class CertifiedGame(Game):
    """Base class: the loss of a batch contains lower bounds of the margins on the ball of Eq. 5.

    With lower bounds m_ij of logit y_i - logit j, the loss -log softmax(-m_i)[y_i] is at least the
    cross-entropy of every image in the ball (Wong & Kolter 2018, Theorem 2). The ball is that of
    radius `context.strength` times eta: these games need a ramp of the radius
    (`Schedule.eta_ramp`), without which many of them do not leave the chance level.

    Args:
      threat: the constraint of Eq. 5, with the norm linf.
      max_steps: steps of the PGD from a random start that perturbs the images; 0: no attack.
      weight_l1: multiplies the sum of the absolute values of all kernels, which is added to the
        loss, >= 0.

    Raises:
      ConfigError: another norm, or a value out of range.
    """

    metrics = ("risk", "certified_risk")

    def __init__(self, threat: ThreatModel, *, max_steps: int = 0, weight_l1: float = 0.0):
        super().__init__(threat)
        if threat.norm != "linf":
            raise ConfigError(
                f"Expected the norm linf for {type(self).__name__}. Received: {threat.norm!r}."
            )
        require_number("weight_l1", weight_l1, at_least=0)
        self.weight_l1 = weight_l1
        self.max_steps = max_steps
        self._attack = training_pgd(threat, max_steps) if max_steps else None

    def make_players(
        self,
        classifier: Any,
        make_optimizer: Any,
        image_shape: tuple[int, int, int],
        num_classes: int,
        seed: int = 0,
    ) -> Players:
        bounds = TrainingBounds(as_classifier(classifier))
        players = super().make_players(classifier, make_optimizer, image_shape, num_classes, seed)
        return dataclasses.replace(players, bounds=bounds)

    def perturb(self, players: Players, batch: Batch, context: StepContext) -> Batch:
        if self._attack is None:
            return batch
        return Batch(self._attack(players.classifier, batch.x, batch.y, seed=context.seed), batch.y)

    def box(self, x: tf.Tensor, context: StepContext) -> Pair:
        """The least and the greatest image of the ball around `x`, of the present radius."""
        low, high = self.threat.region(x)
        return context.shrink(low, x), context.shrink(high, x)

    def ibp_loss(self, players: Players, box: Pair, labels: tf.Tensor) -> tf.Tensor:
        """The cross-entropy of interval bounds, float32 [N]."""
        return certified_loss(players.bounds.ibp(box, labels), labels)

    def strength(self, context: StepContext) -> tf.Tensor | float:
        """Present radius divided by eta, in (0, 1]."""
        return 1.0 if context.strength is None else context.strength

    def weight_penalty(self, players: Players, context: StepContext) -> tf.Tensor | float:
        """This replica's share of `weight_l1` times the sum of |w| over all kernels."""
        if not self.weight_l1:
            return 0.0
        kernels = [one for one in self.trainable(players) if len(one.shape) > 1]
        total = tf.add_n([tf.reduce_sum(tf.abs(one.value)) for one in kernels])
        return self.weight_l1 * total / context.replicas


def certified_loss(margins: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """-log softmax(-m)[y] of lower bounds m of the margins: log sum_j exp(-m_j) as m_y = 0.

    Args:
      margins: float [N, C].
      labels: int [N].

    Returns:
      float [N].

    Example:
      >>> float(certified_loss(tf.constant([[0.0, 0.0]]), tf.constant([0]))[0])  # log 2
      0.6931471824645996
    """
    return losses.cross_entropy(-margins, labels)
