"""`Search`: the tree of one example, its open parts and the least bounds of the settled ones."""

import math

import numpy as np

from mmtf.bounds.reduced import Reduced
from mmtf.bounds.split_bounds import Rows
from mmtf.bounds.split_programs import Programs

# Learning rates of the slopes and of the multipliers, and the factor by which they fall.
ROOT_RATES = (0.25, 0.0, 0.93)
RATES = (0.1, 0.1, 0.95)
ROOT_ITERATIONS = 30
INNER_ITERATIONS = 10
# Steps of the searches for counterexamples, and the number of parts that are searched.
STEPS, SEARCHED = 20, 4
# Without a required margin a part is settled if its bound lacks this much, relative to margins
# above 1, of a margin that an image attains.
GAP = 1e-4


class Search:
    """Branch and bound for the margins of one example.

    Args:
      reduced: the example.
      programs: of it.
      until: the margin required; inf: find the least margins.
      parts: number of parts divided together.
      iterations: gradient steps for the bound of a part.

    Attributes:
      count: number of parts that have been bounded.
    """

    def __init__(
        self, reduced: Reduced, programs: Programs, until: float, parts: int, iterations: int
    ):
        self._net, self._programs, self._until = reduced, programs, until
        self._size, self._iterations = parts, iterations
        self.count = 0
        classes = len(reduced.others)
        self._settled = np.full(classes, np.inf)  # the least bound of each margin's settled parts
        self._attained = np.full(classes, np.inf)
        self._images = np.zeros([classes, reduced.pixels])
        self._pool = _Pool(reduced.units)

    @property
    def open(self) -> bool:
        """Whether a part is left and no image shows that the margin cannot be proved."""
        return len(self._pool) > 0 and not self._refuted

    @property
    def _refuted(self) -> bool:
        return math.isfinite(self._until) and bool((self._attained < self._until).any())

    def start(self) -> None:
        """Tightens the bounds of the units and bounds the whole ball."""
        self._tighten()
        net = self._net
        rows = self._rows(net.margins, np.zeros([len(net.margins), net.units]))
        self._bound(np.arange(len(net.margins)), rows, ROOT_ITERATIONS, ROOT_RATES, len(rows.a))

    def divide(self) -> None:
        """Divides the parts with the lowest bounds."""
        margin, signs, alpha, beta, bound = self._pool.pop(self._size, self._target())
        rows = Rows(self._net.margins[margin], signs, alpha, beta)
        unit, loss = self._programs.best_branching(rows, self._target()[margin])
        whole = loss <= 0  # every sign is fixed: nothing is left to divide
        np.minimum.at(self._settled, margin[whole], bound[whole])
        margin, unit = margin[~whole], unit[~whole]
        both = [np.concatenate([one[~whole]] * 2) for one in (rows.signs, rows.alpha, rows.beta)]
        halves = np.arange(2 * len(unit))
        both[0][halves, np.tile(unit, 2)] = np.repeat([1.0, -1.0], len(unit))
        margin = np.tile(margin, 2)
        rows = Rows(self._net.margins[margin], *both)
        if len(margin):
            floor = np.tile(bound[~whole], 2)
            self._bound(margin, rows, self._iterations, RATES, SEARCHED, floor)

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

    def _rows(self, a, signs):
        """Rows before the optimization: CROWN's slopes, multipliers 0."""
        net = self._net
        adaptive = np.where(net.high >= -net.low, 1.0, net.slope)
        return Rows(a, signs, np.tile(adaptive, (len(a), 1)), np.zeros([len(a), net.units]))

    def _tighten(self):
        """Bounds the units' inputs with optimized slopes, node by node."""
        net = self._net
        for start, end in zip(net.offsets[1:-1], net.offsets[2:], strict=True):
            if start == end:
                continue
            a = np.concatenate([net.matrix[start:end], -net.matrix[start:end]])
            rows = self._rows(a, np.zeros([len(a), net.units]))
            until = np.full(len(a), np.inf)
            found = self._programs.optimize(rows, until, INNER_ITERATIONS, ROOT_RATES)[0]
            low, high = np.split(found, 2)
            net.low[start:end] = np.maximum(net.low[start:end], low)
            net.high[start:end] = np.minimum(net.high[start:end], -high)
            self._programs.refresh()

    def _bound(self, margin, rows, iterations, rates, searched, floor=-np.inf):
        """Bounds parts, settles those with the bound required, and keeps the others."""
        target = self._target()[margin]
        bound, alpha, beta, images = self._programs.optimize(rows, target, iterations, rates)
        bound = np.maximum(bound, floor)
        self.count += len(bound)
        self._search(margin, rows.a, images, np.argsort(bound)[:searched])
        settled = bound >= self._target()[margin]
        np.minimum.at(self._settled, margin[settled], bound[settled])
        kept = ~settled
        self._pool.push(margin[kept], rows.signs[kept], alpha[kept], beta[kept], bound[kept])

    def _search(self, margin, a, images, chosen):
        """Looks for images with lower margins, starting at the minimizers of some parts."""
        margin = margin[chosen]
        least, found = self._programs.descend(a[chosen], images[chosen], STEPS)
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
