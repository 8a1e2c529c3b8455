"""FGSM-RS: adversarial training with one step from a random start."""

from mmtf.attacks.iterated import PGD
from mmtf.errors import require_number
from mmtf.games.base import Game
from mmtf.games.players import Batch, Players, StepContext
from mmtf.threat import ThreatModel


class FGSMRS(Game):
    """min_u f(u, Z), Z one step of steepest ascent from a random start (Wong et al. 2020).

        z = clip(x + d + 1.25 eta sign(grad_x l(x + d))), d uniform in the ball,

    projected to the ball and the box. 1.25 eta is the authors' step on MNIST (0.375 at eps 0.3) and
    on CIFAR-10 (10/255 at 8/255). It is `AdvPGD` with max_steps=1 and another step size. The
    gradient is that of the net in inference mode; theirs is in training mode, which differs with
    BatchNormalization or dropout.

    A single step can end in catastrophic overfitting: the classifier withstands FGSM and no attack
    of several steps. Measure PGD beside FGSM.

    Args:
      threat: the constraint of Eq. 5.
      relative_step: size of the step divided by eta, > 0.
    """

    single_step = True

    def __init__(self, threat: ThreatModel, *, relative_step: float = 1.25):
        super().__init__(threat)
        require_number("relative_step", relative_step, above=0)
        self.relative_step = relative_step
        step_size = relative_step * threat.radius
        self._attack = PGD(threat, steps=1, step_size=step_size, stop_early=False)

    def perturb(self, players: Players, batch: Batch, context: StepContext) -> Batch:
        return Batch(self._attack(players.classifier, batch.x, batch.y, seed=context.seed), batch.y)
