"""Eq. 3 of the paper: one unnormalized gradient step."""

from mmtf.attacks.base import Attack, input_gradient


class GradientStep(Attack):
    """z = clip(x + eta grad_x l), Eq. 3: a single-step approximation to the maximum of Eq. 4.

    Not normalized, so it is weak where gradients are small; `FGSM` and `FGM` use the whole ball.
    """

    def __call__(self, classifier, x, y, *, seed=(0, 0)):
        _, gradient = input_gradient(classifier, x, y)
        return self.threat.project(x + self.threat.eta * gradient, x)
