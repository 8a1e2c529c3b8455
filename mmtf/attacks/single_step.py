"""Attacks of at most one gradient step: none, Eq. 3's unnormalized step, FGSM and FGM."""

from typing import Any

import tensorflow as tf
from tensorflow import Tensor

from mmtf.attacks.base import Attack, input_gradient
from mmtf.attacks.criteria import TargetableAttack
from mmtf.classifiers.classifier import Classifier


class NoAttack(Attack):
    """z = x, the paper's `No attack` column.

    Args:
      threat: the ball and the box.
    """

    queries_model = False

    def run(self, classifier: Any, x: Tensor, labels: Tensor, seed: Tensor) -> Tensor:
        return tf.identity(x)


class GradientStep(Attack):
    """z = clip(x + eta grad_x l), Eq. 3: a single-step approximation to the maximum of Eq. 4.

    Not normalized, so it is weak where gradients are small; `FGSM` and `FGM` use the whole ball.

    Args:
      threat: the ball and the box.
    """

    def run(self, classifier: Classifier, x: Tensor, labels: Tensor, seed: Tensor) -> Tensor:
        _, gradient = input_gradient(classifier, x, labels)
        return self.threat.project(x + self.threat.eta * gradient, x)


class SteepestStep(TargetableAttack):
    """z = clip(x + eta argmax_{||d|| <= 1} <grad_x l, d>), what FGSM and FGM share."""

    def run(self, classifier: Classifier, x: Tensor, labels: Tensor, seed: Tensor) -> Tensor:
        _, gradient = input_gradient(classifier, x, labels, self.maximized)
        return self.threat.project(x + self.threat.eta * self.threat.steepest_step(gradient), x)


class FGSM(SteepestStep):
    """The fast gradient sign method, z = clip(x + eta sign(grad_x l)), Eq. 1.

    The exact maximizer for a linear loss in the l-infinity ball. With a `target` class t:
    z = clip(x - eta sign(grad_x l(x, t))) (Kurakin et al. 2017).

    Args:
      threat: the ball and the box; l-infinity.
      target: see `mmtf.attacks.criteria.Criterion`; None: untargeted.

    Source: Goodfellow et al. (2015).

    Example:
      >>> from mmtf.threat import ThreatModel
      >>> linear = lambda x, training: tf.concat([x, -x], 1)
      >>> attack = FGSM(ThreatModel(eta=0.3))
      >>> print(attack(linear, tf.constant([[0.5]]), tf.constant([0])).numpy().round(1))
      [[0.2]]
    """

    norms = ("linf",)


class FGM(SteepestStep):
    """The fast gradient method, z = clip(x + eta grad_x l / ||grad_x l||_2): FGSM for the l2 ball.

    The exact maximizer for a linear loss where the box does not bind.

    Args:
      threat: the ball and the box; l2.
      target: see `mmtf.attacks.criteria.Criterion`; None: untargeted.

    Source: Goodfellow et al. (2015), in the l2 ball.
    """

    norms = ("l2",)
