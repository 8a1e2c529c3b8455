"""What measurements during training mean: the best one, no progress, catastrophic overfitting.

A classifier that is trained against a single attack step may learn to mislead that step: within a
few hundred steps its accuracy under FGSM rises while that under PGD falls to zero (Wong, Rice &
Kolter 2020). A collapse is a fall of the accuracy under PGD from its best value, by FALL or to
SHARE of it, while the accuracy under FGSM is no lower than its value then, up to NOISE. Where it
happens before the accuracy under PGD has risen at all, it is told by the difference: MISLED or more
under FGSM and ROBUST or less under PGD, which is no new best value. On 200 images the standard
error of a difference is at most 0.05, and a fall to SHARE of LEAST or more is one of at least 3.3
of its standard errors.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

FALL = 0.2
SHARE, LEAST = 1 / 3, 0.15
NOISE = 0.05
MISLED, ROBUST = 0.5, 0.1
COLLAPSE = "collapse"
BEST = "best"
FACTOR = 0.5  # of the learning rate, at each return to the best weights


@dataclasses.dataclass(frozen=True)
class Point:
    """A measurement.

    Attributes:
      step: number of steps taken.
      fgsm, pgd: accuracies under the single step and under PGD, in [0, 1].
    """

    step: int
    fgsm: float
    pgd: float


class Watch:
    """Judges one measurement after the other; the same measurements are judged the same.

    Those of a round are judged among themselves: other rounds may train another net.

    Args:
      reaction: to a collapse, of `mmtf.schedule.REACTIONS`; "": collapses are not looked for.
      patience: measurements without a new best one after which training ends; 0: none.
      starts: number of steps before each round, from 0 on.

    Attributes:
      points: the measurements so far.
      best: of the latest one's round, the one of the greatest accuracy under PGD, the first of
        equal ones, without collapses after the round's first measurement; None: none yet.
      collapses: those that were collapses.
      stopped: whether training is to end.

    Example:
      >>> watch = Watch("warn")
      >>> [watch.judge(Point(*one)) for one in ((1, 0.6, 0.5), (2, 0.9, 0.4), (3, 0.9, 0.1))]
      ['best', '', 'collapse']
    """

    def __init__(self, reaction: str = "", patience: int = 0, starts: Sequence[int] = (0,)):
        self.reaction, self.patience = reaction, patience
        self._starts = starts
        self.points: list[Point] = []
        self.best: Point | None = None
        self.collapses: list[Point] = []
        self.stopped = False
        self._since = 0

    @property
    def switched(self) -> bool:
        """Whether the attacker takes several steps since a collapse."""
        return self.reaction == "switch" and bool(self.collapses)

    @property
    def factor(self) -> float:
        """What the learning rate is multiplied by, after returns to the best weights."""
        return FACTOR ** len(self.collapses) if self.reaction == "restore" else 1.0

    def judge(self, point: Point) -> str:
        """Takes a measurement in; returns BEST, COLLAPSE or "" for neither."""
        if self.points and self.round_of(point) != self.round_of(self.points[-1]):
            self.best, self._since = None, 0
        self.points.append(point)
        if self._is_collapse(point):
            self.collapses.append(point)
            self.stopped |= self.reaction == "stop"
            self._since = 0
            return COLLAPSE
        if self.best is None or point.pgd > self.best.pgd:
            self.best, self._since = point, 0
            return BEST
        self._since += 1
        self.stopped |= bool(self.patience) and self._since >= self.patience
        return ""

    def round_of(self, point: Point) -> int:
        """Number of the round whose steps a measurement follows."""
        return sum(start < point.step for start in self._starts) - 1

    def _is_collapse(self, point: Point) -> bool:
        told = self.collapses and self.reaction in ("warn", "switch")  # once
        if not self.reaction or told or self.best is None:
            return False
        best = self.best.pgd
        fell = best - point.pgd >= FALL or (best >= LEAST and point.pgd <= SHARE * best)
        misled = fell and point.fgsm >= self.best.fgsm - NOISE
        never_robust = point.pgd <= best and point.fgsm >= MISLED and point.pgd <= ROBUST
        return misled or never_robust

    def to_list(self) -> list[dict[str, Any]]:
        """The measurements as JSON types; `judge` of each in their order gives the same state."""
        return [dataclasses.asdict(point) for point in self.points]
