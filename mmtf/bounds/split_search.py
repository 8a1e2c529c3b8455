"""`Search`: the tree of one example, its open parts and the least bounds of the settled ones."""

import math

import numpy as np

from mmtf.bounds.program import Program
from mmtf.bounds.split_bounds import Rows
from mmtf.bounds.split_programs import ROOT_RATES, Programs

# Learning rates of the slopes and of the multipliers, and the factor by which they fall.
RATES = (0.1, 0.1, 0.95)
ROOT_ITERATIONS = 30
# Steps of a search for counterexamples, the number of parts of a batch at whose minimizers one
# begins, and of starts for each margin in the whole ball.
STEPS, SEARCHED, STARTS = 20, 4, 4
# Without a required margin a part is settled if its bound lacks this much, relative to margins
# above 1, of a margin that an image attains.
GAP = 1e-4


class Search:
    """Branch and bound for the margins of one example.

    Args:
      programs: of the example.
      until: the margin required; inf: find the least margins.
      parts: number of parts divided together.
      iterations: gradient steps for the bound of a part.
      candidates: units tried before a part is divided.

    Attributes:
      count: number of parts that have been bounded.
    """

    def __init__(
        self, programs: Programs, until: float, parts: int, iterations: int, candidates: int
    ):
        self._net, self._programs, self._until = programs.reduced, programs, until
        self._size, self._iterations, self._candidates = parts, iterations, candidates
        self.count = 0
        net = self._net
        classes = len(net.others)
        self._settled = np.full(classes, np.inf)  # the least bound of each margin's settled parts
        self._attained = np.full(classes, np.inf)
        self._images = np.zeros([classes, net.pixels])
        self._pool = _Pool(net.units)

    @property
    def open(self) -> bool:
        """Whether a part is left and no image shows that the margin cannot be proved."""
        return len(self._pool) > 0 and not self._refuted

    @property
    def _refuted(self) -> bool:
        return math.isfinite(self._until) and bool((self._attained < self._until).any())

    def start(self) -> None:
        """Looks for counterexamples, tightens the bounds of the units, and bounds the ball."""
        net, classes = self._net, len(self._net.others)
        margin = np.tile(np.arange(classes), STARTS)
        self._search(margin, net.margins[margin], self._starts(len(margin)))
        if not self._refuted:
            self._programs.tighten()
        rows = self._programs.rows(net.margins)
        self._bound(np.arange(classes), rows, ROOT_ITERATIONS, ROOT_RATES, classes)

    def divide(self) -> None:
        """Divides the parts with the lowest bounds."""
        margin, signs, alpha, beta, bound = self._pool.pop(self._size, self._target())
        rows = Rows(self._net.margins[margin], signs, alpha, beta)
        whole = ((self._net.low < 0) & (self._net.high > 0) & (signs == 0)).sum(1) == 0
        self._settle(margin[whole], signs[whole], bound[whole])
        margin, bound = margin[~whole], bound[~whole]
        if not len(margin):
            return
        rows = Rows(*[one[~whole] for one in rows])
        unit = self._programs.best_branching(rows, self._target()[margin], self._candidates)
        rows = Rows(*[np.concatenate([one, one]) for one in rows])
        halves = np.arange(2 * len(unit))
        rows.signs[halves, np.tile(unit, 2)] = np.repeat([1.0, -1.0], len(unit))
        margin, bound = np.tile(margin, 2), np.tile(bound, 2)
        self._bound(margin, rows, self._iterations, RATES, SEARCHED, bound)

    def margins(self) -> np.ndarray:
        """float64 [R]: the least bound of all parts of each margin."""
        found = self._settled.copy()
        np.minimum.at(found, self._pool.margin, self._pool.bound)
        return found

    def counterexample(self) -> np.ndarray | None:
        """An image [pixels] with a margin below the one required, or below 0; None: none known."""
        worst = int(self._attained.argmin())
        limit = self._until if math.isfinite(self._until) else 0.0
        return self._images[worst] if self._attained[worst] < limit else None

    def _target(self):
        """float64 [R], the bound at which a part of each margin is settled."""
        if math.isfinite(self._until):
            return np.full(len(self._attained), self._until)
        return self._attained - GAP * np.maximum(1.0, np.abs(self._attained))

    def _settle(self, margin, signs, bound):
        """Parts without a loose unit, linear programs except in l2 balls, get the exact minimum."""
        net = self._net
        for j, sign, value in zip(margin, signs, bound, strict=True):
            if net.norm != "l2":
                low = np.where(sign > 0, np.maximum(net.low, 0.0), net.low)
                high = np.where(sign < 0, np.minimum(net.high, 0.0), net.high)
                value = max(value, Program(net, low, high).minimize(net.margins[j])[0])
            self._settled[j] = min(self._settled[j], value)

    def _bound(self, margin, rows, iterations, rates, searched, floor=-np.inf):
        """Bounds parts, settles those with the bound required, and keeps the others."""
        target = self._target()[margin]
        bound, alpha, beta, images = self._programs.optimize(rows, target, iterations, rates)
        bound = np.maximum(bound, floor)
        self.count += len(bound)
        lowest = np.argsort(bound, kind="stable")[:searched]
        self._search(margin[lowest], rows.a[lowest], images[lowest])
        settled = bound >= self._target()[margin]
        np.minimum.at(self._settled, margin[settled], bound[settled])
        kept = ~settled
        self._pool.push(margin[kept], rows.signs[kept], alpha[kept], beta[kept], bound[kept])

    def _starts(self, count):
        """The image, and corners of the ball in random directions."""
        directions = np.random.default_rng(0).normal(size=(count, self._net.pixels))
        directions[: len(self._net.others)] = 0.0
        return self._programs.minimizer(directions)

    def _search(self, margin, a, images):
        """Looks for images with lower margins, starting at some images of the ball."""
        least, found = self._programs.descend(a, images, STEPS)
        for j, value, image in zip(margin, least, found, strict=True):
            if value < self._attained[j]:
                self._attained[j], self._images[j] = value, image


class _Pool:
    """The open parts: their margin, fixed signs, slopes, multipliers and bound."""

    def __init__(self, units):
        self.margin = np.zeros(0, np.int32)
        self.bound = np.zeros(0)
        self._parts = [np.zeros([0, units], kind) for kind in (np.int8, np.float32, np.float32)]

    def __len__(self):
        return len(self.margin)

    def push(self, margin, signs, alpha, beta, bound):
        self.margin = np.concatenate([self.margin, margin.astype(np.int32)])
        self.bound = np.concatenate([self.bound, bound])
        new = zip(self._parts, (signs, alpha, beta), strict=True)
        self._parts = [np.concatenate([old, one.astype(old.dtype)]) for old, one in new]

    def pop(self, count, target):
        """The parts that lack most of the target of their margin."""
        lack = self.bound - target[self.margin]
        chosen = np.argsort(lack, kind="stable")[:count]
        kept = np.ones(len(self), bool)
        kept[chosen] = False
        found = (
            self.margin[chosen],
            *[one[chosen].astype(np.float64) for one in self._parts],
            self.bound[chosen],
        )
        self.margin, self.bound = self.margin[kept], self.bound[kept]
        self._parts = [one[kept] for one in self._parts]
        return found
