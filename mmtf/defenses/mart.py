"""MART: adversarial training that weighs the divergence by how far an example is misclassified."""

import tensorflow as tf

from mmtf import losses
from mmtf.defenses.halves import logits_of_both
from mmtf.defenses.trades import Trades
from mmtf.games.players import Batch, Players, StepContext
from mmtf.threat import ThreatModel

# As in the authors' code, so that no logarithm and no weight is exactly zero.
ROOM, TINY, TINIER = 1.0001, 1e-12, 1.0000001


class Mart(Trades):
    """Misclassification-aware adversarial training (Wang et al. 2020).

        min_u mean [l(z, y) - log(1 - max_{k != y} p_k(z)) + beta KL(p(x) || p(z)) (1 - p_y(x))]

    p is the softmax of the logits. z is found by steepest ascent of the cross-entropy l from
    x + 0.002 N(0, I), with the net in inference mode, and then held constant; the gradient goes
    through p(x) and p(z) everywhere. 1 - max is 1.0001 - max, as in the authors' code. The defaults
    are theirs for CIFAR-10 and a ResNet: beta 5 (6 for a wide ResNet), eps 0.031, 10 steps of
    0.007. The presets give MNIST the steps of TRADES.

    The metrics are `risk`, the mean cross-entropy of perturbed images, `margin`, the mean of the
    second term, and `divergence`, that of the third without beta.

    Args:
      threat: the constraint of Eq. 5.
      beta: weight of the divergence, >= 0.
      max_steps: steps of the inner maximization, > 0.
      relative_step: size of a step divided by eta, > 0.
      halves: `apart`, as the authors do, or `together`, see `mmtf.defenses.halves`.
    """

    metrics = ("risk", "margin", "divergence")
    climbs_divergence = False

    def __init__(
        self,
        threat: ThreatModel,
        *,
        beta: float = 5.0,
        max_steps: int = 10,
        relative_step: float = 7 / 31,
        halves: str = "apart",
    ):
        super().__init__(
            threat, beta=beta, max_steps=max_steps, relative_step=relative_step, halves=halves
        )

    def objective(
        self, players: Players, clean: Batch, perturbed: Batch, context: StepContext
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        at_x, at_z = logits_of_both(players.classifier, clean.x, perturbed.x, self.halves)
        y = perturbed.y
        context.observe(at_z, y)
        risk = context.mean(context.cross_entropy(at_z, y))
        margin = context.mean(-tf.math.log(ROOM - _greatest_wrong(at_z, y) + TINY))
        own = tf.gather(_probabilities(at_x), y, batch_dims=1)
        weighted = losses.kl_divergence(at_x, at_z) * (TINIER - own)
        divergence = context.mean(weighted)
        loss = risk + margin + self.beta * divergence
        return loss, {"risk": risk, "margin": margin, "divergence": divergence}


def _probabilities(logits):
    return tf.nn.softmax(losses.full_precision(logits))


def _greatest_wrong(logits, labels):
    """max_{k != y} p_k, [N]."""
    p = _probabilities(logits)
    own = tf.one_hot(labels, tf.shape(p)[-1], on_value=True, off_value=False, dtype=tf.bool)
    return tf.reduce_max(tf.where(own, tf.zeros_like(p), p), -1)
