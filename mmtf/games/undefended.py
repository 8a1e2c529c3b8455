"""No defense: the classifier trained on clean images."""

from mmtf.games.base import Game
from mmtf.games.players import Batch, Players, StepContext


class Undefended(Game):
    """min_u f(u, X): the paper's `No defense` row (Table 1).

    Args:
      threat: the constraint of Eq. 5; it has no effect on this game.
    """

    input_gradients = False

    def perturb(self, players: Players, batch: Batch, context: StepContext) -> Batch:
        return batch
