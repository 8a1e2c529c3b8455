"""The fast gradient sign method, Eq. 1."""

from mmtf.attacks.base import input_gradient
from mmtf.attacks.criteria import AimedAttack


class FGSM(AimedAttack):
    """z = clip(x + eta sign(grad_x l)), Eq. 1 (Goodfellow et al. 2015).

    The exact maximizer for a linear loss in the l-infinity ball. With a `target` class t:
    z = clip(x - eta sign(grad_x l(x, t))) (Kurakin et al. 2017).

    Args:
      threat: the ball and the box; l-infinity.
      target: see `mmtf.attacks.criteria.Goal`; None: untargeted.

    Example:
      >>> import tensorflow as tf
      >>> from mmtf.threat import ThreatModel
      >>> linear = lambda x, training: tf.concat([x, -x], 1)
      >>> attack = FGSM(ThreatModel(eta=0.3))
      >>> print(attack(linear, tf.constant([[0.5]]), tf.constant([0])).numpy().round(1))
      [[0.2]]
    """

    norms = ("linf",)

    def pursue(self, classifier, x, labels, seed):
        loss = self.goal.loss("cross_entropy")
        _, gradient = input_gradient(classifier, x, labels, loss)
        return self.threat.project(x + self.threat.eta * self.threat.steepest_step(gradient), x)
