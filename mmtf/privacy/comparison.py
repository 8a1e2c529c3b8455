"""Measures filters and baselines over several seeds; finished cells are kept in a folder."""

import dataclasses
import functools
import math
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import threadpoolctl

from mmtf.errors import require, require_choice, require_names
from mmtf.privacy.attackers import ATTACKERS, Cell, measure
from mmtf.privacy.baselines import BASELINES, gaussian, laplace
from mmtf.privacy.examples import PrivacyData
from mmtf.privacy.filters import FILTERS
from mmtf.privacy.game import PrivacyGame, Solved
from mmtf.stats.estimates import Estimate, estimate
from mmtf.stats.intervals import wilson
from mmtf.storage.cache import entry
from mmtf.storage.files import read_json, write_json

NOISES = {"Gaussian noise": gaussian, "Laplace noise": laplace}


@dataclasses.dataclass(frozen=True)
class Settings:
    """The settings of a game, apart from the filter, rho and the seed.

    Attributes:
      dimensions: d, number of the filter's outputs.
      solver: a name of `mmtf.solvers.SOLVERS`.
      order: `minimax` or `maximin`.
      adversary: the adversary during the game, `softmax` or `mlp`.
      steps: solver steps.
      start: start of the linear filter: `pca`, `plda` or `random`.
      batch_size: examples in a step; None: see `PrivacyGame.play`.
      l2: see `PrivacyGame`.
      l2_heads: see `PrivacyGame`.
      attackers: names of `ATTACKERS`, trained afresh after the game.
    """

    dimensions: int = 10
    solver: str = "alternating"
    order: str = "minimax"
    adversary: str = "mlp"
    steps: int = 1500
    start: str = "pca"
    batch_size: int | None = None
    l2: float = 1e-6
    l2_heads: float = 1e-3
    attackers: tuple[str, ...] = ("softmax", "svm", "mlp", "forest")

    def __post_init__(self):
        require_names("attackers", self.attackers)
        for name in self.attackers:
            require_choice("attackers", name, ATTACKERS)


@dataclasses.dataclass(frozen=True)
class Method:
    """One row of the comparison.

    Attributes:
      name: a filter of `FILTERS`, a baseline of `BASELINES`, or a noise of `NOISES`.
      weight: rho of a filter, epsilon of a noise, None for the others.
    """

    name: str
    weight: float | None = None

    @property
    def label(self) -> str:
        """The row's name in tables."""
        if self.name in FILTERS:
            return f"minimax {self.name}, rho {self.weight:g}"
        if self.name in NOISES:
            return f"{self.name}, epsilon {self.weight:g}"
        return self.name


@dataclasses.dataclass(frozen=True)
class Row:
    """A method over several seeds.

    Attributes:
      label: the method's name in tables.
      target: accuracy of the target over examples and seeds, with a 95 % interval.
      leak: accuracy of the strongest attacker of each seed, likewise.
      private: attacker -> mean accuracy over the seeds.
      seconds: mean duration of the filter's training, without the attackers.
    """

    label: str
    target: Estimate
    leak: Estimate
    private: dict[str, float]
    seconds: float


def compare(
    data: PrivacyData,
    methods: Sequence[Method],
    settings: Settings,
    *,
    seeds: Iterable[int] = (0,),
    folder: str | None = None,
    say: Callable[[str], None] = lambda line: None,
    played: Callable[[Method, int, Solved], None] | None = None,
) -> list[dict[str, Any]]:
    """Measures every method with every seed.

    Args:
      data: the examples.
      methods: the rows.
      settings: shared by all games.
      seeds: of filters, classifiers, noise and attackers, at least one.
      folder: folder of finished cells, from which a stopped comparison resumes; None: none.
      say: called with a line of progress for every cell.
      played: called with the method, the seed and the solved game of every game played now.

    Returns:
      One dictionary a cell, as plain JSON data: `method`, `seed`, `seconds` and those of
      `Cell.to_dict`.
    """
    seeds = list(seeds)
    # A repeated seed would count as an independent one.
    require(0 < len(seeds) == len(set(seeds)), "different seeds, at least one", seeds)
    require(len(set(methods)) == len(methods), "different methods", [m.label for m in methods])
    jobs = [(method, seed) for seed in seeds for method in methods]
    cells, began = [], time.monotonic()
    for number, (method, seed) in enumerate(jobs, 1):
        kept = _entry(folder, data, method, settings, seed)
        cell = kept.load(read_json)
        if cell is None:
            checkpoints = folder and kept.beside("")
            # Several threads on small matrices cost more than they save.
            with threadpoolctl.threadpool_limits(1):
                cell = _cell(data, method, settings, seed, checkpoints, played)
            kept.save(functools.partial(write_json, value=cell))
        cells.append(cell)
        left = (time.monotonic() - began) / number * (len(jobs) - number)
        say(
            f"[{number}/{len(jobs)}] {method.label}, seed {seed}: target {cell['target']:.3f}, "
            f"private {cell['leak']:.3f} ({cell['strongest']}); {math.ceil(left)} s left"
        )
    return cells


def solved_game(
    data: PrivacyData, method: Method, settings: Settings, seed: int, folder: str | None
) -> Solved:
    """Plays the game of a filter, or loads it from the checkpoints that `compare` left.

    Args:
      data, settings, folder: as for `compare`.
      method: a filter of `FILTERS` with its rho.
      seed: of the filter, the classifiers and the batches.
    """
    kept = _entry(folder, data, method, settings, seed)
    return _solved(data, method, settings, seed, folder and kept.beside(""))


def rows_of(cells: Sequence[dict[str, Any]]) -> list[Row]:
    """Averages the cells of `compare` over seeds: one row a method, in their order."""
    rows = []
    for label in dict.fromkeys(cell["method"] for cell in cells):
        own = [cell for cell in cells if cell["method"] == label]
        names = own[0]["private"]
        rows.append(
            Row(
                label,
                _estimate(own, "target"),
                _estimate(own, "leak"),
                {name: sum(one["private"][name] for one in own) / len(own) for name in names},
                sum(one["seconds"] for one in own) / len(own),
            )
        )
    return rows


def _entry(folder, data, method, settings, seed):
    values = [dataclasses.asdict(method), dataclasses.asdict(settings), seed, data.fingerprint]
    return entry(folder, values, ".json", prefix=f"{_slug(method.label)}-seed{seed}-")


def _solved(data, method, settings, seed, checkpoints) -> Solved:
    model = FILTERS[method.name](data, settings.dimensions, start=settings.start, seed=seed)
    game = PrivacyGame(
        data,
        model,
        rho=method.weight,
        l2=settings.l2,
        l2_heads=settings.l2_heads,
        adversary=settings.adversary,
        order=settings.order,
        seed=seed,
    )
    return game.play(
        solver=settings.solver,
        steps=settings.steps,
        batch_size=settings.batch_size,
        folder=checkpoints,
    )


def _cell(data, method, settings, seed, checkpoints, played):
    began = time.monotonic()
    if method.name in FILTERS:
        solved = _solved(data, method, settings, seed, checkpoints)
        if played is not None:
            played(method, seed, solved)
        filter = solved.filter
    elif method.name in NOISES:
        filter = NOISES[method.name](data, settings.dimensions, seed, epsilon=method.weight)
    else:
        require_choice("method", method.name, (*FILTERS, *BASELINES, *NOISES))
        filter = BASELINES[method.name](data, settings.dimensions, seed)
    seconds = time.monotonic() - began
    cell: Cell = measure(filter, data, attackers=settings.attackers, seed=seed)
    return {
        "method": method.label,
        "seed": seed,
        "seconds": round(seconds, 2),
        "attack_seconds": round(time.monotonic() - began - seconds, 2),
        **cell.to_dict(),
    }


def _estimate(cells, key) -> Estimate:
    records = []
    for cell in cells:
        low, high = wilson(round(cell[key] * cell["n"]), cell["n"])
        records.append({"error": cell[key], "ci_low": low, "ci_high": high, "n": cell["n"]})
    found = estimate(records)
    assert found is not None
    return found


def _slug(label):
    return "".join(c if c.isalnum() or c in ".-" else "_" for c in label)
