"""The iterative fast gradient sign method (Kurakin et al. 2017)."""

from mmtf.attacks.iterated import IteratedAttack


class IFGSM(IteratedAttack):
    """FGSM in `steps` small steps from the clean image, each projected on the ball and the box.

    Args:
      threat: the ball and the box; l-infinity.
      steps: > 0.
      step_size: default 2.5 eta / steps.
      stop_early: see `IteratedAttack`.
    """

    norms = ("linf",)

    def __init__(self, threat, *, steps=10, step_size=None, stop_early=True):
        super().__init__(threat, steps=steps, step_size=step_size, stop_early=stop_early)
