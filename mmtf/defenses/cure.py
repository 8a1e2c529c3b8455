"""CURE: small curvature of the loss along the direction of its gradient's signs."""

import tensorflow as tf

from mmtf.defenses.input_gradients import length, loss_and_gradient
from mmtf.errors import require_number
from mmtf.games.base import Game
from mmtf.games.players import Batch, Players, StepContext
from mmtf.threat import ThreatModel


class CURE(Game):
    """Curvature regularization (Moosavi-Dezfooli et al. 2019).

        min_u f(u, X) + gamma mean ||grad l(x + h s) - grad l(x)||, s = sign(g) / ||sign(g)||,

    g = grad l(x) being the gradient with respect to the image. There is no attacker. The norm is
    not squared, as in the authors' code. The penalty is computed in inference mode, also as
    theirs; the cross-entropy in training mode.

    Their code has h = 3 and weight 4 for images of CIFAR-10 divided by their standard deviation,
    about 0.2 for pixels in [0, 1], and takes the gradient of the *mean* loss of 128 images. In
    pixels of [-1, 1] and for the gradient of each image's own loss that is h = 3 * 2 * 0.2 = 1.2
    and gamma = 4 / 128 * 2 * 0.2 = 0.0125, the defaults. They finetune a trained net and increase h
    in the first epochs; a run here starts from new weights with a constant h.

    The metrics are `risk`, the mean cross-entropy of clean images, and `curvature`, the penalty
    without gamma.

    Args:
      threat: the constraint of Eq. 5; it has no effect on this game.
      gamma: weight of the penalty, >= 0.
      length: h, the L2 norm of the displacement, > 0, on the scale of [-1, 1].
    """

    metrics = ("risk", "curvature")

    def __init__(self, threat: ThreatModel, *, gamma: float = 0.0125, length: float = 1.2):
        super().__init__(threat)
        require_number("gamma", gamma, at_least=0)
        require_number("length", length, above=0)
        self.gamma = gamma
        self.length = length

    def perturb(self, players: Players, batch: Batch, context: StepContext) -> Batch:
        return batch

    def objective(
        self, players: Players, clean: Batch, perturbed: Batch, context: StepContext
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        (x, y), classifier = clean, players.classifier
        logits = classifier(x, training=True)
        context.observe(logits, y)
        risk = context.mean(context.cross_entropy(logits, y))
        _, _, here = loss_and_gradient(classifier, x, y, training=False)
        signs = tf.sign(tf.stop_gradient(here))
        size = tf.reshape(length(signs), [-1] + [1] * (x.shape.rank - 1))
        displaced = x + self.length * tf.math.divide_no_nan(signs, size)
        _, _, there = loss_and_gradient(classifier, displaced, y, training=False)
        curvature = context.mean(length(there - here))
        return risk + self.gamma * curvature, {"risk": risk, "curvature": curvature}
