"""SABR: certified training on small boxes around adversarial examples."""

import tensorflow as tf

from mmtf import losses
from mmtf.bounds.affine import Pair
from mmtf.errors import require_int, require_number
from mmtf.games.certified import CertifiedGame
from mmtf.games.players import Batch, Players, StepContext
from mmtf.threat import ThreatModel


class SABR(CertifiedGame):
    """min_u g(u) with g certified on a small box around an adversarial example.

    PGD finds z in the ball; the box has the radius `share` times eta around the point nearest to z
    whose box lies in the ball (Mueller et al. 2023, "Certified training: small boxes are all you
    need"). share = 1 is IBP without a clean loss.

    Args:
      threat: the constraint of Eq. 5, with the norm linf.
      share: lambda of the paper, in (0, 1].
      max_steps: steps of PGD, > 0.
      weight_l1: see `CertifiedGame`.
    """

    smooths_labels = False

    def __init__(
        self,
        threat: ThreatModel,
        *,
        share: float = 0.4,
        max_steps: int = 1,
        weight_l1: float = 0.0,
    ):
        super().__init__(threat, max_steps=max_steps, weight_l1=weight_l1)
        require_number("share", share, above=0, at_most=1)
        self.share = share
        require_int("max_steps", max_steps)

    def objective(
        self, players: Players, clean: Batch, perturbed: Batch, context: StepContext
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        logits = players.classifier(perturbed.x, training=True)
        context.observe(logits, clean.y)
        risk = context.mean(losses.cross_entropy(logits, clean.y))
        box = self.small_box(clean.x, perturbed.x, context)
        bound = context.mean(self.ibp_loss(players, box, clean.y))
        loss = bound + self.weight_penalty(players, context)
        return loss, {"risk": risk, "certified_risk": bound}

    def small_box(self, x: tf.Tensor, z: tf.Tensor, context: StepContext) -> Pair:
        """The least and the greatest image of the small box for adversarial examples `z` of `x`."""
        radii = self.threat.radii * self.strength(context)
        room, reach = (1.0 - self.share) * radii, self.share * radii
        center = tf.clip_by_value(z, x - room, x + room)
        return self.threat.clip_box(center - reach), self.threat.clip_box(center + reach)
