"""Selects the cells that tables and figures need."""

from collections.abc import Iterable

from mmtf.errors import require, require_choice
from scripts.paper.cells import Cell, Track
from scripts.paper.players import CURVE, GALLERY, IMAGES, MET
from scripts.paper.tables import paper_table

FIGURES = (1, 2, 3, 4, 5)
MNIST, CIFAR10 = (0.1, 0.2, 0.3, 0.4), (0.05, 0.06, 0.07, 0.08)
NETWORK_GAMES = ("minimax_attnet", "alt_attnet", "maximin_attnet")
# Number -> (dataset, radii, rows, what is drawn of them). The paper's Figure 3 is at eta 0.2.
FIGURE_CELLS = {
    1: ("mnist", MNIST, ("minimax_grad",), CURVE),
    2: ("mnist", MNIST, NETWORK_GAMES, CURVE),
    3: ("mnist", (0.2,), (GALLERY,), IMAGES),
    4: ("cifar10", CIFAR10, ("minimax_grad",), CURVE),
    5: ("cifar10", CIFAR10, NETWORK_GAMES, CURVE),
}


def select(
    *,
    tables: Iterable[int] = (),
    figures: Iterable[int] = (),
    inits: Iterable[str] = ("keras",),
    schedule: str = "fast",
    seeds: int = 1,
    etas: list[float] | None = None,
    defenses: list[str] | None = None,
    attacks: list[str] | None = None,
    dataset: str | None = None,
) -> list[Cell]:
    """Returns the cells of tables and figures, radius by radius, each once.

    Args:
      tables, figures: numbers of the paper's tables and figures.
      inits, schedule: initializers and schedule of the tracks.
      seeds: number of seeds, which are 0 to seeds - 1.
      etas, defenses, attacks: only these; None for all.
      dataset: replaces the paper's, for trials.

    Raises:
      ConfigError: one of `etas`, `defenses` or `attacks` is in none of the tables and figures.
    """
    require(seeds > 0, "seeds > 0", seeds)
    wanted = _wanted(tables, figures)
    filters = {"etas": (0, etas), "defenses": (2, defenses), "attacks": (3, attacks)}
    for name, (place, given) in filters.items():
        known = dict.fromkeys(one[place] for one in wanted)
        for value in given or ():
            require_choice(name, value, known)
    kept = [
        one
        for one in wanted
        if (etas is None or one[0] in etas)
        and (defenses is None or one[2] in defenses)
        and (attacks is None or one[3] in attacks)
    ]
    tracks = [(init, seed) for init in inits for seed in range(seeds)]
    return [
        Cell(Track(dataset or name, init, schedule), eta, defense, attack, seed)
        for init, seed in tracks
        for eta, name, defense, attack in kept
    ]


def _wanted(tables, figures):
    """Returns (eta, dataset, defense, attack), by radius: one is completed before the next."""
    found = []
    for number in tables:
        table = paper_table(number)
        attacks = (*table.attacks, *table.extras)
        found += [
            (eta, table.dataset, defense, attack)
            for eta in table.etas
            for defense in table.defenses
            for attack in attacks
        ]
    for number in figures:
        dataset, radii, rows, drawn = FIGURE_CELLS[number]
        # Where the network games end, by more images than their curves have.
        measured = (drawn, MET) if rows == NETWORK_GAMES else (drawn,)
        found += [(eta, dataset, row, one) for eta in radii for row in rows for one in measured]
    return sorted(dict.fromkeys(found), key=lambda one: (one[1] != "mnist", one[0]))
