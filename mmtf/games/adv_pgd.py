"""PGD adversarial training."""

from mmtf.games.base import Game, training_pgd
from mmtf.games.players import Batch, Players, StepContext
from mmtf.threat import ThreatModel


class AdvPGD(Game):
    """min_u f(u, Z), Z computed by PGD from a random start (Madry et al. 2018, reference [17]).

    Args:
      threat: the constraint of Eq. 5.
      max_steps: steps of PGD in the inner maximization, > 0; 1 is a single step from a random
        start.
    """

    def __init__(self, threat: ThreatModel, *, max_steps: int = 7):
        super().__init__(threat)
        self.max_steps = max_steps
        self._attack = training_pgd(threat, max_steps)

    def perturb(self, players: Players, batch: Batch, context: StepContext) -> Batch:
        return Batch(self._attack(players.classifier, batch.x, batch.y, seed=context.seed), batch.y)
