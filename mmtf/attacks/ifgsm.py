"""The iterative fast gradient sign method (Kurakin et al. 2017)."""

from mmtf.attacks.iterated import IteratedAttack


class IFGSM(IteratedAttack):
    """FGSM in `steps` small steps from the clean image, each projected on the ball and the box.

    Args:
      threat: the ball and the box; l-infinity.
      steps: > 0.
      step_size: of the first step; default 2.5 eta in all.
      decay: see `IteratedAttack`.
      stop_early, target: see `IteratedAttack`.
    """

    norms = ("linf",)

    def __init__(
        self,
        threat,
        *,
        steps=10,
        step_size=None,
        decay="constant",
        stop_early=True,
        target=None,
    ):
        super().__init__(
            threat,
            steps=steps,
            step_size=step_size,
            decay=decay,
            stop_early=stop_early,
            target=target,
        )
