"""The defenses of the comparison, ranked, and the cells of its tables. Imports no TensorFlow.

Read from the records of `python -m scripts.peer_defenses`; `scripts.peer_defenses_page` and
`scripts.peer_defenses_html` show them.
"""

import dataclasses
import functools
import os
import pathlib
from typing import Any

import numpy as np

from mmtf.errors import require
from mmtf.reports import plots, read_json
from mmtf.reports.measured import WORST, attack_title
from mmtf.stats.packed_bits import unpack_bits
from mmtf.stats.paired import holm, mcnemar
from scripts.blocks import RESULTS

RECORDS = RESULTS / "peer_defenses"
# Below this p-value after Holm's correction two defenses count as different.
LEVEL = 0.05
PER_STEP = "processor_seconds_per_step"  # in the records of trainings
# A text of a table, and what it is sorted by.
Cell = tuple[str, float | str]


def title(dataset: str, eta: float) -> str:
    """The heading of the comparison on a dataset at a radius.

    Example:
      >>> title("mnist", 0.3), title("cifar10", 0.06)
      ('mnist, eta 0.3 (eps 0.15)', 'cifar10, eta 0.06 (standardized)')
    """
    return f"{dataset}, {plots.radius_text(eta, dataset)}"


@dataclasses.dataclass(frozen=True)
class Defense:
    """One net of the comparison, from its record.

    Attributes:
      name: of the net.
      record: of `scripts.peer_defenses`.
      per_step: processor seconds of a training step; None: not counted.
    """

    name: str
    record: dict[str, Any]
    per_step: float | None = None

    @property
    def errors(self) -> dict[str, float]:
        """Attack -> test error, `worst` last."""
        return {cell["attack"]: cell["error"] for cell in self.record["cells"]}

    @property
    def worst(self) -> float:
        """The error under the worst of the attacks."""
        return self.errors[WORST]

    @property
    def n(self) -> int:
        """Number of test images."""
        return self.record["n"]

    @functools.cached_property
    def wrong(self) -> np.ndarray:
        """bool [N]: the images that some attack breaks."""
        return unpack_bits(self.record["wrong"][WORST], self.n)

    @property
    def certified(self) -> float | None:
        """The error certified by cheap bounds; None where bounds do not support the net."""
        return self.record["certified"]

    @property
    def net(self) -> str:
        """The name of the net's architecture."""
        return self.record["config"]["net"]

    @property
    def steps(self) -> int:
        """Number of training steps."""
        return self.record["training"]["steps"]

    @property
    def collapsed(self) -> bool:
        """Whether the training reported a collapse, catastrophic overfitting."""
        return bool(self.record["training"].get("checks", {}).get("collapses"))

    @property
    def cost(self) -> float | None:
        """Processor seconds of the training, of all cores; None: not counted."""
        return None if self.per_step is None else self.per_step * self.steps


def defenses_in(folder: str | os.PathLike) -> dict[tuple[str, float], list[Defense]]:
    """Returns (dataset, eta) -> its defenses, ranked by the worst error; most defenses first.

    Raises:
      ConfigError: there are none, or those of one radius are of different images.
    """
    groups: dict[tuple[str, float], list[Defense]] = {}
    records = [read_json(path) for path in sorted(pathlib.Path(folder).glob("*.json"))]
    # A step costs the same at every radius.
    counted = [one for one in records if one["training"].get(PER_STEP) is not None]
    per_step = {_same_steps(one): one["training"][PER_STEP] for one in counted}
    for record in records:
        own = record["training"].get(PER_STEP)
        own = per_step.get(_same_steps(record)) if own is None else own
        one = Defense(_name(record), record, own)
        groups.setdefault((record["dataset"], record["etas"][0]), []).append(one)
    require(bool(groups), "records of `python -m scripts.peer_defenses`", str(folder))
    for (dataset, eta), group in groups.items():
        drawn = {(one.n, one.record["seed"], one.record["drawn"]) for one in group}
        require(len(drawn) == 1, f"one set of test images for {dataset}, eta {eta:g}", drawn)
        group.sort(key=_rank)
    return dict(sorted(groups.items(), key=lambda one: -len(one[1])))


def _name(record: dict[str, Any]) -> str:
    return next(iter(record["models"]))


def _same_steps(record: dict[str, Any]) -> tuple[str, str, str]:
    """Nets of equal values were trained by the same steps, at one radius or several."""
    return record["dataset"], _name(record), record["config"]["net"]


def versus_best(group: list[Defense]) -> list[float]:
    """Holm's p of each defense against the first one, by McNemar's test on the same images."""
    tests = [mcnemar(group[0].wrong, one.wrong) for one in group[1:]]
    return [1.0, *(holm(tests) if tests else [])]


def _heading(attack: str) -> str:
    """The title of a column.

    Example:
      >>> _heading("pgd@undefended")
      'pgd from undefended'
    """
    return attack_title(attack).replace("@", " from ")


def columns(group: list[Defense]) -> list[str]:
    """The attacks of a group, `worst` first, by which they are ranked."""
    names = dict.fromkeys(name for one in group for name in one.errors if name != WORST)
    return [WORST, *names]


def _errors(one: Defense, shown: list[str]) -> list[str]:
    """The cells of a row; `>=` where attacks of the table were not run on this net."""
    errors = [_points(one.errors.get(name)) for name in shown]
    return [errors[0] if met_all(one, shown) else f">= {errors[0]}", *errors[1:]]


def met_all(one: Defense, shown: list[str]) -> bool:
    """Whether all attacks of the table were run; the surrogate has no transfer from itself."""
    return all(name in one.errors for name in shown if "@" not in name)


def _rank(one: Defense) -> tuple[float, str]:
    return one.worst, one.name


def cells(group: list[Defense]) -> tuple[list[str], list[list[Cell]]]:
    """The table of one dataset and radius, in percent: its header, and a row for each defense."""
    shown = columns(group)
    header = ["defense", *map(_heading, shown), "certified", "p", "core s", "steps", "net"]
    rows = []
    for one, p in zip(group, versus_best(group), strict=True):
        errors = [*(one.errors.get(name) for name in shown), one.certified]
        texts = [*_errors(one, shown), _points(one.certified)]
        # Above every error: what was not measured.
        keys = [2 if error is None else error for error in errors]
        row: list[Cell] = [(one.name, one.name), *zip(texts, keys, strict=True)]
        row += [(_mark(one, p, group), p), (_seconds(one.cost), one.cost or "")]
        rows.append([*row, (f"{one.steps:,}", one.steps), (one.net, one.net)])
    return header, rows


def not_met(groups: dict[tuple[str, float], list[Defense]]) -> str:
    """What `>=` means; "" if no table has it."""
    absent = {
        attack_title(name)
        for group in groups.values()
        for name in columns(group)
        for one in group
        if "@" not in name and name not in one.errors
    }
    if not absent:
        return ""
    return (
        f"`>=`: {' and '.join(sorted(absent))} was not run on this net, whose error under the "
        "other attacks is already above that of the best; its `p` is given where that is enough to "
        "tell them apart."
    )


def _points(error: float | None) -> str:
    return "-" if error is None else f"{100 * error:.1f}"


def _mark(one: Defense, p: float, group: list[Defense]) -> str:
    """The text of a p-value; -: too few attacks were run to say that it is as good as the best."""
    if one is group[0]:
        return ""
    return _p(p) if p < LEVEL or met_all(one, columns(group)) else "-"


def _seconds(cost: float | None) -> str:
    return "-" if cost is None else f"{cost:,.0f}"


def _p(value: float) -> str:
    return "<.001" if value < 0.001 else f"{value:.3f}"
