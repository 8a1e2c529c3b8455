"""GradAlign: FGSM training with aligned gradients at an image and near it."""

import tensorflow as tf

from mmtf.attacks.queries import inner, input_gradient
from mmtf.defenses.ascent import without_box
from mmtf.defenses.input_gradients import length, loss_and_gradient
from mmtf.errors import require_number
from mmtf.games.base import Game
from mmtf.games.players import Batch, Players, StepContext
from mmtf.solvers.base import cross_replica_sum
from mmtf.threat import ThreatModel


class GradAlign(Game):
    """min_u f(u, Z) + gamma (1 - mean cos(grad l(x), grad l(x + d))) (Andriushchenko 2020).

    Z is FGSM from X; d is uniform in the ball. Examples at which either gradient is exactly zero
    are left out of the mean. As in the authors' code grad l(x) is held constant, and the gradient
    of the penalty goes through grad l(x + d). Both are computed in training mode, with the same
    dropout masks. gamma = 0.2 is the authors' for CIFAR-10 at eps 8/255; a larger radius needs a
    larger one. Their FGSM gradient is in training mode, that of the max step here in inference
    mode.

    The metrics are `risk`, the mean cross-entropy of perturbed images, and `misalignment`, the
    penalty without gamma.

    Args:
      threat: the constraint of Eq. 5.
      gamma: weight of the penalty, >= 0; lambda in the paper.
      relative_step: size of the step divided by eta, > 0; 1 is FGSM.
    """

    metrics = ("risk", "misalignment")
    single_step = True

    def __init__(self, threat: ThreatModel, *, gamma: float = 0.2, relative_step: float = 1.0):
        super().__init__(threat)
        require_number("gamma", gamma, at_least=0)
        require_number("relative_step", relative_step, above=0)
        self.gamma = gamma
        self.relative_step = relative_step
        self._ball = without_box(threat)

    def perturb(self, players: Players, batch: Batch, context: StepContext) -> Batch:
        _, gradient = input_gradient(players.classifier, batch.x, batch.y)
        if self.relative_step == 1.0:
            return Batch(self.threat.linear_maximizer(batch.x, gradient), batch.y)
        size = self.relative_step * self.threat.radius
        stepped = self.threat.stepped(batch.x, gradient, size)
        return Batch(self.threat.project(stepped, batch.x), batch.y)

    def objective(
        self, players: Players, clean: Batch, perturbed: Batch, context: StepContext
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        classifier, (x, y) = players.classifier, clean
        logits = classifier(perturbed.x, training=True)
        context.observe(logits, y)
        risk = context.mean(context.cross_entropy(logits, y))
        near = context.shrink(self._ball.random_start(x, context.seed), x)
        with context.dropout(*players.networks):
            _, _, here = loss_and_gradient(classifier, x, y, training=True)
        with context.dropout(*players.networks):
            _, _, there = loss_and_gradient(classifier, near, y, training=True)
        misalignment = self._misalignment(tf.stop_gradient(here), there, context)
        return risk + self.gamma * misalignment, {"risk": risk, "misalignment": misalignment}

    def _misalignment(self, here, there, context):
        """This replica's share of 1 - mean cos over the examples with two nonzero gradients."""
        product = length(here) * length(there)
        kept = tf.cast(product > 0, product.dtype)
        cosine = tf.math.divide_no_nan(inner(here, there), product)
        # context.mean divides by the number of all examples, so their share is divided out again.
        (share,) = cross_replica_sum([tf.reduce_sum(kept) / context.global_batch_size])
        return tf.math.divide_no_nan(context.mean(kept * (1.0 - cosine)), share)
