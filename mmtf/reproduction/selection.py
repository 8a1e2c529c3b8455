"""Which cells a table, a figure, or all of them need."""

from mmtf.config import require
from mmtf.reproduction.cells import Cell, Track
from mmtf.reproduction.players import CURVE, GALLERY, IMAGES
from mmtf.reproduction.tables import TABLES, paper_table

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
    tables=(),
    figures=(),
    inits=("keras",),
    schedule: str = "fast",
    seeds: int = 1,
    etas=None,
    defenses=None,
    attacks=None,
    dataset: str | None = None,
) -> list[Cell]:
    """The cells of some tables and figures, radius by radius, each once.

    Args:
      tables, figures: numbers.
      inits, schedule, seeds: of the tracks; seeds 0, ..., seeds - 1.
      etas, defenses, attacks: only these, None for all.
      dataset: in place of the paper's, for trials.
    """
    require(seeds > 0, "seeds > 0", seeds)
    cells = []
    for init in inits:
        for seed in range(seeds):
            for eta, name, defense, attack in _wanted(tables, figures, etas):
                kept = (defenses is None or defense in defenses) and (
                    attacks is None or attack in attacks
                )
                if kept:
                    track = Track(dataset or name, init, schedule)
                    cells.append(Cell(track, eta, defense, attack, seed))
    return list(dict.fromkeys(cells))


def _wanted(tables, figures, etas):
    """(eta, dataset, defence, attack), a radius after the other: tables fill one after another."""
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
        found += [(eta, dataset, row, drawn) for eta in radii for row in rows]
    found = [one for one in found if etas is None or any(abs(one[0] - e) < 1e-9 for e in etas)]
    return sorted(found, key=lambda one: (one[1] != "mnist", one[0]))


def all_tables(dataset: str | None = None) -> tuple[int, ...]:
    """Every table, or those of one dataset of the paper."""
    return tuple(n for n in TABLES if dataset in (None, paper_table(n).dataset))


def all_figures(dataset: str | None = None) -> tuple[int, ...]:
    """Every figure, or those of one dataset of the paper."""
    return tuple(n for n in FIGURES if dataset in (None, FIGURE_CELLS[n][0]))
