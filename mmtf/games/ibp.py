"""Training on interval bounds: IBP and CROWN-IBP."""

import tensorflow as tf

from mmtf.errors import require_number
from mmtf.games.certified import CertifiedGame, certified_loss
from mmtf.games.players import Batch, Players, StepContext
from mmtf.threat import ThreatModel


class IBP(CertifiedGame):
    """min_u k f(u, X) + (1 - k) g(u) with g the risk certified by interval bounds.

    k falls from 1 to `clean_weight` while the radius rises (Gowal et al. 2018, Eq. 12). The
    metrics are `risk`, the mean cross-entropy f of clean images, and `certified_risk`, g.

    Args:
      threat: the constraint of Eq. 5, with the norm linf.
      clean_weight: the last k, in [0, 1].
      weight_l1: see `CertifiedGame`.
    """

    def __init__(self, threat: ThreatModel, *, clean_weight: float = 0.5, weight_l1: float = 0.0):
        super().__init__(threat, weight_l1=weight_l1)
        require_number("clean_weight", clean_weight, at_least=0, at_most=1)
        self.clean_weight = clean_weight

    def objective(
        self, players: Players, clean: Batch, perturbed: Batch, context: StepContext
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        logits = players.classifier(clean.x, training=True)
        context.observe(logits, clean.y)
        risk = context.mean(context.cross_entropy(logits, clean.y))
        bound = context.mean(self.certified(players, clean, context))
        k = 1.0 - self.strength(context) * (1.0 - self.clean_weight)
        loss = k * risk + (1.0 - k) * bound + self.weight_penalty(players, context)
        return loss, {"risk": risk, "certified_risk": bound}

    def certified(self, players: Players, clean: Batch, context: StepContext) -> tf.Tensor:
        """The certified cross-entropy of each example, float32 [N]."""
        return self.ibp_loss(players, self.box(clean.x, context), clean.y)


class CrownIBP(IBP):
    """IBP with bounds that turn from CROWN-IBP to IBP while the radius rises.

    The margins are b times those of CROWN-IBP plus 1 - b times those of IBP; b falls from 1 to
    `crown_weight` (Zhang et al. 2020, Eq. 12).

    Args:
      threat, clean_weight, weight_l1: see `IBP`.
      crown_weight: the last b, in [0, 1]; the authors use 0 for large radii, 1 for small ones.
    """

    def __init__(
        self,
        threat: ThreatModel,
        *,
        clean_weight: float = 0.5,
        crown_weight: float = 0.0,
        weight_l1: float = 0.0,
    ):
        super().__init__(threat, clean_weight=clean_weight, weight_l1=weight_l1)
        require_number("crown_weight", crown_weight, at_least=0, at_most=1)
        self.crown_weight = crown_weight

    def certified(self, players: Players, clean: Batch, context: StepContext) -> tf.Tensor:
        ibp, crown = players.bounds.crown_ibp(self.box(clean.x, context), clean.y)
        b = 1.0 - self.strength(context) * (1.0 - self.crown_weight)
        return certified_loss(b * crown + (1.0 - b) * ibp, clean.y)
