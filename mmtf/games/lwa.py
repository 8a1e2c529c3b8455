"""Learning with adversaries: Eq. 8 without its sensitivity term."""

from mmtf.games.base import Game, steepest_attack
from mmtf.games.players import Batch, Players, StepContext
from mmtf.threat import ThreatModel


class LWA(Game):
    """min_u f(u, Z(u)) with Z held constant in the min step (Huang et al. 2015): a saddle point.

    Args:
      threat: the constraint of Eq. 5.
      max_steps: steps of the inner maximization, > 0; 1 is FGSM (Eq. 1), as in the paper.
    """

    def __init__(self, threat: ThreatModel, *, max_steps: int = 1):
        super().__init__(threat)
        self.max_steps = max_steps
        self._attack = steepest_attack(threat, max_steps)

    def perturb(self, players: Players, batch: Batch, context: StepContext) -> Batch:
        return Batch(self._attack(players.classifier, batch.x, batch.y), batch.y)
