"""The fast gradient sign method, Eq. 1."""

from mmtf.attacks.base import Attack, input_gradient


class FGSM(Attack):
    """z = clip(x + eta sign(grad_x l)), Eq. 1 (Goodfellow et al. 2015), untargeted.

    The exact maximiser for a linear loss in the l-infinity ball.

    Example:
      >>> import tensorflow as tf
      >>> from mmtf.threat import ThreatModel
      >>> linear = lambda x, training: tf.concat([x, -x], 1)
      >>> attack = FGSM(ThreatModel(eta=0.3))
      >>> print(attack(linear, tf.constant([[0.5]]), tf.constant([0])).numpy().round(1))
      [[0.2]]
    """

    norms = ("linf",)

    def __call__(self, classifier, x, y, *, seed=(0, 0)):
        _, gradient = input_gradient(classifier, x, y)
        return self.threat.project(x + self.threat.eta * self.threat.steepest_step(gradient), x)
