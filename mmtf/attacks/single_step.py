"""Attacks with at most one gradient step: NoAttack, GradientStep (Eq. 3), FGSM and FGM."""

from typing import Any

import tensorflow as tf
from tensorflow import Tensor

from mmtf.attacks.base import Attack
from mmtf.attacks.criteria import TargetableAttack
from mmtf.attacks.queries import input_gradient
from mmtf.classifiers.classifier import Classifier
from mmtf.config import NORMS


class NoAttack(Attack):
    """Returns the clean images, z = x: the column `No attack` of the paper's tables.

    Args:
      threat: threat model.
    """

    norms = NORMS
    queries_model = False

    def run(self, classifier: Any, x: Tensor, labels: Tensor, seed: Tensor) -> Tensor:
        return tf.identity(x)


class GradientStep(Attack):
    """z = clip(x + eta grad_x l), Eq. 3: a single-step approximation to the maximum of Eq. 4.

    The gradient is not normalized, so the attack is weak where gradients are small; `FGSM` and
    `FGM` step to the surface of the ball.

    Args:
      threat: threat model.
    """

    norms = NORMS

    def run(self, classifier: Classifier, x: Tensor, labels: Tensor, seed: Tensor) -> Tensor:
        _, gradient = input_gradient(classifier, x, labels)
        return self.threat.project(x + self.threat.radii * gradient, x)


class SteepestStep(TargetableAttack):
    """Base class of FGSM and FGM: z = clip(x + eta argmax_{||d||_p <= 1} <grad_x l, d>)."""

    def run(self, classifier: Classifier, x: Tensor, labels: Tensor, seed: Tensor) -> Tensor:
        _, gradient = input_gradient(classifier, x, labels, self.maximized)
        return self.threat.linear_maximizer(x, gradient)


class FGSM(SteepestStep):
    """The fast gradient sign method, z = clip(x + eta sign(grad_x l)), Eq. 1.

    It is the exact maximizer of a linear loss over the l-infinity ball. With a target class t:
    z = clip(x - eta sign(grad_x l(x, t))) (Kurakin et al. 2017).

    Args:
      threat: threat model with norm linf.
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
    """The fast gradient method: FGSM for the l2 and the l1 ball.

    In l2 z = clip(x + eta grad_x l / ||grad_x l||_2), the exact maximizer of a linear loss if the
    box constraint is inactive. In l1 the pixels of greatest |grad_x l| move to the border of the
    box, one after the other, as far as eta goes: the exact maximizer in the ball and the box.

    Args:
      threat: threat model with norm l2 or l1.
      target: see `mmtf.attacks.criteria.Criterion`; None: untargeted.

    Source: Goodfellow et al. (2015), with other balls in place of the l-infinity ball.
    """

    norms = ("l2", "l1")
