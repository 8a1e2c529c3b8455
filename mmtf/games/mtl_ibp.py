"""MTL-IBP: adversarial training and certified training together."""

import tensorflow as tf

from mmtf.errors import require_int, require_number
from mmtf.games.certified import CertifiedGame
from mmtf.games.players import Batch, Players, StepContext
from mmtf.threat import ThreatModel


class MTLIBP(CertifiedGame):
    """min_u (1 - alpha) f(u, Z) + alpha g(u): adversarial and certified risk together.

    Z is computed by PGD from a random start, g is the risk certified by interval bounds (De Palma
    et al. 2024, "Expressive losses for verified robustness via convex combinations", MTL-IBP). A
    small alpha leaves the net tight enough for expensive verifiers and costs less accuracy than
    IBP. alpha = 0 is PGD adversarial training, alpha = 1 is IBP without a clean loss.

    Args:
      threat: the constraint of Eq. 5, with the norm linf.
      alpha: in [0, 1].
      max_steps: steps of PGD, > 0; 1 is a single step from a random start.
      weight_l1: see `CertifiedGame`.
    """

    def __init__(
        self,
        threat: ThreatModel,
        *,
        alpha: float = 0.1,
        max_steps: int = 1,
        weight_l1: float = 0.0,
    ):
        super().__init__(threat, max_steps=max_steps, weight_l1=weight_l1)
        require_number("alpha", alpha, at_least=0, at_most=1)
        self.alpha = alpha
        require_int("max_steps", max_steps)

    def objective(
        self, players: Players, clean: Batch, perturbed: Batch, context: StepContext
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        risk, metrics = super().objective(players, clean, perturbed, context)
        alpha, bound = self.bound(players, clean, context)
        loss = (1.0 - alpha) * risk + alpha * bound + self.weight_penalty(players, context)
        return loss, {**metrics, "certified_risk": bound}

    def bound(
        self, players: Players, clean: Batch, context: StepContext
    ) -> tuple[tf.Tensor | float, tf.Tensor | float]:
        """alpha and this replica's share of the certified risk."""
        return self.alpha, context.mean(self.ibp_loss(players, self.box(clean.x, context), clean.y))


class Strongest(MTLIBP):
    """The defense of the smallest measured worst-case error on MNIST: a preset of MTL-IBP.

    `python -m mmtf.run --game=strongest --eta=0.3` trains the net `clipped_cnn` with 32 channels
    and 256 hidden units by MTL-IBP with a small alpha and two PGD steps, on images that are turned,
    sheared, scaled and shifted at random (`--augment=affine`). docs/strongest.md has its errors at
    four radii, docs/which_defense.md those of the other defenses. On datasets other than MNIST it
    is `mtl_ibp` with this schedule, and no claim is made.

    Args:
      threat, alpha, max_steps, weight_l1: see `MTLIBP`.
    """


class PGDThenMTLIBP(MTLIBP):
    """MTL-IBP from the weights of a PGD-trained net: round 0 is PGD training, round 1 MTL-IBP.

    With a ramp, the radius rises from 0 in each of the two rounds. The optimizer starts afresh.

    Args:
      threat, alpha, max_steps, weight_l1: see `MTLIBP`.
    """

    rounds = 1

    def bound(
        self, players: Players, clean: Batch, context: StepContext
    ) -> tuple[tf.Tensor | float, tf.Tensor | float]:
        bound = super().bound
        return tf.cond(
            context.round > 0,
            lambda: (tf.constant(float(self.alpha)), bound(players, clean, context)[1]),
            lambda: (tf.constant(0.0), tf.constant(0.0)),
        )
