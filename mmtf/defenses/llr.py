"""LLR: the loss is to be linear within the ball around each image."""

import tensorflow as tf

from mmtf import losses
from mmtf.attacks.queries import inner, input_gradient
from mmtf.defenses.input_gradients import loss_and_gradient
from mmtf.errors import require_int, require_number
from mmtf.games.base import Game
from mmtf.games.players import Batch, Players, StepContext
from mmtf.threat import ThreatModel


class LLR(Game):
    """Local linearity regularization (Qin et al. 2019).

        min_u f(u, X) + mean [gamma |l(x + d) - l(x) - <d, g>| + mu |<d, g>|], g = grad l(x),

    where d maximizes the first penalty within the ball and the box: steepest ascent from a random
    start. d is then held constant. The weights gamma = 4 and mu = 3 are the authors' for CIFAR-10
    at eps 8/255; the number of steps and their size are mmtf's own choice. The penalties are
    computed in inference mode, so that dropout does not differ between x and x + d; the
    cross-entropy in training mode.

    The metrics are `risk`, the mean cross-entropy of clean images, `nonlinearity` and `slope`, the
    penalties without their weights.

    Args:
      threat: the constraint of Eq. 5.
      gamma: weight of the violation of linearity, >= 0; lambda in the paper.
      mu: weight of the slope, >= 0.
      max_steps: steps of the inner maximization, > 0.
      relative_step: size of a step divided by eta, > 0.
    """

    metrics = ("risk", "nonlinearity", "slope")

    def __init__(
        self,
        threat: ThreatModel,
        *,
        gamma: float = 4.0,
        mu: float = 3.0,
        max_steps: int = 10,
        relative_step: float = 0.25,
    ):
        super().__init__(threat)
        require_number("gamma", gamma, at_least=0)
        require_number("mu", mu, at_least=0)
        require_int("max_steps", max_steps)
        require_number("relative_step", relative_step, above=0)
        self.gamma = gamma
        self.mu = mu
        self.max_steps = max_steps
        self.relative_step = relative_step

    def perturb(self, players: Players, batch: Batch, context: StepContext) -> Batch:
        (x, y), threat = batch, self.threat
        logits, slope = input_gradient(players.classifier, x, y)
        loss = losses.cross_entropy(logits, y)
        z, region = threat.random_start(x, context.seed), threat.region(x)
        size = self.relative_step * threat.radius
        for _ in range(self.max_steps):
            logits, gradient = input_gradient(players.classifier, z, y)
            violation = losses.cross_entropy(logits, y) - loss - inner(z - x, slope)
            sign = tf.reshape(tf.sign(violation), [-1] + [1] * (x.shape.rank - 1))
            ascent = sign * (gradient - slope)
            z = threat.into(threat.stepped(z, ascent, size), region)
        return Batch(z, y)

    def objective(
        self, players: Players, clean: Batch, perturbed: Batch, context: StepContext
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        (x, y), z, classifier = clean, perturbed.x, players.classifier
        risk = context.mean(context.cross_entropy(classifier(x, training=True), y))
        _, here, slope = loss_and_gradient(classifier, x, y, training=False)
        logits = classifier(z, training=False)
        context.observe(logits, y)
        along = inner(z - x, slope)
        violation = context.mean(tf.abs(losses.cross_entropy(logits, y) - here - along))
        steepness = context.mean(tf.abs(along))
        loss = risk + self.gamma * violation + self.mu * steepness
        return loss, {"risk": risk, "nonlinearity": violation, "slope": steepness}
