"""TRADES: cross-entropy on clean images, and the divergence of the outputs within the ball."""

from typing import ClassVar

import tensorflow as tf

from mmtf import losses
from mmtf.defenses.ascent import NearbyAscent
from mmtf.defenses.halves import HALVES, logits_of_both
from mmtf.errors import require_choice, require_int, require_number
from mmtf.games.base import Game
from mmtf.games.players import Batch, Players, StepContext
from mmtf.threat import ThreatModel


class Trades(Game):
    """min_u mean [l(x, y) + beta max_z KL(p(x) || p(z))] (Zhang et al. 2019, Eq. 5).

    p is the softmax of the logits. The maximum is sought by steepest ascent of the divergence from
    x + 0.002 N(0, I), with the net in inference mode; z is then held constant, and the gradient
    goes through both p(x) and p(z). The defaults are the authors' for CIFAR-10: eps 0.031, 10 steps
    of 0.007, beta 6. The presets for MNIST are theirs, too: 40 steps of eps / 30, beta 1; the
    schedule `fast` takes 10 steps of eta / 4 there, to save time. Their optimizer is SGD; that of a
    run is Adam (`mmtf.Schedule`).

    The metrics are `risk`, the mean cross-entropy of clean images, and `divergence`.

    Args:
      threat: the constraint of Eq. 5.
      beta: weight of the divergence, >= 0; 0 is training on clean images.
      max_steps: steps of the inner maximization, > 0.
      relative_step: size of a step divided by eta, > 0.
      halves: how layers that normalize by statistics of the batch see clean and perturbed images in
        the min step, see `mmtf.defenses.halves`; `apart`, as the authors do, or `together`.

    Example:
      >>> import mmtf
      >>> game = mmtf.games.Trades(mmtf.ThreatModel.from_epsilon(0.031), max_steps=2)
      >>> schedule = mmtf.Schedule(steps=2, batch_size=16)
      >>> mmtf.train(game, mmtf.load_data("digits"), schedule=schedule, progress=False).steps
      2
    """

    metrics: tuple[str, ...] = ("risk", "divergence")
    climbs_divergence: ClassVar[bool] = True  # in the max step, in place of the cross-entropy

    def __init__(
        self,
        threat: ThreatModel,
        *,
        beta: float = 6.0,
        max_steps: int = 10,
        relative_step: float = 7 / 31,
        halves: str = "apart",
    ):
        super().__init__(threat)
        require_number("beta", beta, at_least=0)
        require_int("max_steps", max_steps)
        require_number("relative_step", relative_step, above=0)
        require_choice("halves", halves, HALVES)
        self.beta = beta
        self.max_steps = max_steps
        self.relative_step = relative_step
        self.halves = halves
        step_size = relative_step * threat.radius
        self._attack = NearbyAscent(
            threat, steps=max_steps, step_size=step_size, divergence=self.climbs_divergence
        )

    def perturb(self, players: Players, batch: Batch, context: StepContext) -> Batch:
        return Batch(self._attack(players.classifier, batch.x, batch.y, seed=context.seed), batch.y)

    def objective(
        self, players: Players, clean: Batch, perturbed: Batch, context: StepContext
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        at_x, at_z = logits_of_both(players.classifier, clean.x, perturbed.x, self.halves)
        context.observe(at_z, perturbed.y)
        risk = context.mean(context.cross_entropy(at_x, clean.y))
        divergence = context.mean(losses.kl_divergence(at_x, at_z))
        return risk + self.beta * divergence, {"risk": risk, "divergence": divergence}
