"""The fast gradient method: FGSM's sibling for the l2 ball."""

from mmtf.attacks.base import Attack, input_gradient


class FGM(Attack):
    """z = clip(x + eta grad_x l / ||grad_x l||_2), Goodfellow et al. (2015) in the l2 ball.

    The exact maximiser for a linear loss where the box does not bind.
    """

    norms = ("l2",)

    def __call__(self, classifier, x, y, *, seed=(0, 0)):
        _, gradient = input_gradient(classifier, x, y)
        return self.threat.project(x + self.threat.eta * self.threat.steepest_step(gradient), x)
