"""No defense: the classifier trained on clean images."""

from mmtf.games.base import Game


class Undefended(Game):
    """min_u f(u, X): the paper's `No defense` row (Table 1)."""

    paper_steps = {"mnist": 50_000, "cifar10": 100_000}
    fast_steps = {"mnist": 1500, "cifar10": 12_000}
    brief_steps = {"mnist": 1300}

    def perturb(self, players, x, y, turn):
        return x, y
