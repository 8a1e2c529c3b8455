"""No defense: the classifier trained on clean images."""

from mmtf.games.base import Game


class Undefended(Game):
    """min_u f(u, X): the paper's `No defense` row (Table 1)."""

    def perturb(self, players, x, y, turn):
        return x, y
