"""Input-gradient regularization: small gradients of the loss with respect to the images."""

import tensorflow as tf

from mmtf.attacks.queries import inner
from mmtf.defenses.input_gradients import loss_and_gradient
from mmtf.errors import require_number
from mmtf.games.base import Game
from mmtf.games.players import Batch, Players, StepContext
from mmtf.threat import ThreatModel


class InputGradient(Game):
    """min_u f(u, X) + (gamma / 2) mean ||dl_i / dx_i||^2 (Ross & Doshi-Velez 2018).

    There is no attacker. The authors' code adds lambda / 2 times the squared norm of the gradient
    of the *mean* loss of 256 images, pixels in [0, 1], lambda from 100 to 100,000. That is
    gamma = 4 lambda / 256 here: 4 because gradients on [-1, 1] are half as long. The default is
    lambda = 100. `MinimaxGrad` has the same penalty at the perturbed images, with the weight eta.

    The metrics are `risk`, the mean cross-entropy of clean images, and `penalty`.

    Args:
      threat: the constraint of Eq. 5; it has no effect on this game.
      gamma: weight of the penalty, >= 0.
    """

    metrics = ("risk", "penalty")

    def __init__(self, threat: ThreatModel, *, gamma: float = 4 * 100 / 256):
        super().__init__(threat)
        require_number("gamma", gamma, at_least=0)
        self.gamma = gamma

    def perturb(self, players: Players, batch: Batch, context: StepContext) -> Batch:
        return batch

    def objective(
        self, players: Players, clean: Batch, perturbed: Batch, context: StepContext
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        logits, _, gradient = loss_and_gradient(players.classifier, *clean, training=True)
        context.observe(logits, clean.y)
        risk = context.mean(context.cross_entropy(logits, clean.y))
        penalty = self.gamma / 2 * context.mean(inner(gradient, gradient))
        return risk + penalty, {"risk": risk, "penalty": penalty}
