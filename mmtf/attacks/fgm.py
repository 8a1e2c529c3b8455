"""The fast gradient method: FGSM's sibling for the l2 ball."""

from mmtf.attacks.base import input_gradient
from mmtf.attacks.criteria import AimedAttack


class FGM(AimedAttack):
    """z = clip(x + eta grad_x l / ||grad_x l||_2), Goodfellow et al. (2015) in the l2 ball.

    The exact maximizer for a linear loss where the box does not bind.

    Args:
      threat: the ball and the box; l2.
      target: see `mmtf.attacks.criteria.Goal`; None: untargeted.
    """

    norms = ("l2",)

    def pursue(self, classifier, x, labels, seed):
        loss = self.goal.loss("cross_entropy")
        _, gradient = input_gradient(classifier, x, labels, loss)
        return self.threat.project(x + self.threat.eta * self.threat.steepest_step(gradient), x)
