"""N-FGSM: a single step from strong noise, without the projection to the ball."""

from mmtf.attacks.queries import input_gradient
from mmtf.errors import require_number
from mmtf.games.base import Game
from mmtf.games.players import Batch, Players, StepContext
from mmtf.threat import ThreatModel


class NFGSM(Game):
    """min_u f(u, Z), Z one step from noise around X, not projected (de Jorge et al. 2022).

        x' = clip_box(x + d), d uniform in the ball of radius k eta
        z = clip_box(x' + eta sign(grad l(x')))

    z leaves the ball of radius eta, by at most k eta, and never the box; projecting it would undo
    what prevents catastrophic overfitting. The defaults k = 2 and a step of eta are the authors'.
    The gradient is that of the net in inference mode; theirs is in training mode.

    Args:
      threat: the constraint of Eq. 5 that the classifier is to withstand.
      noise: k, the radius of the noise divided by eta, > 0.
      relative_step: size of the step divided by eta, > 0.
    """

    single_step = True

    def __init__(self, threat: ThreatModel, *, noise: float = 2.0, relative_step: float = 1.0):
        super().__init__(threat)
        require_number("noise", noise, above=0)
        require_number("relative_step", relative_step, above=0)
        self.noise = noise
        self.relative_step = relative_step
        self._noise = threat.with_radius(noise * threat.radius)

    def perturb(self, players: Players, batch: Batch, context: StepContext) -> Batch:
        start = self._noise.random_start(batch.x, context.seed)
        _, gradient = input_gradient(players.classifier, start, batch.y)
        size = self.relative_step * self.threat.radius
        stepped = self.threat.stepped(start, gradient, size)
        return Batch(self.threat.clip_box(stepped), batch.y)
