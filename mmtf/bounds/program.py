"""`Program`: a reduced net as a mixed-integer linear program, solved by SciPy's HiGHS."""

import math
from typing import Any

import numpy as np
import scipy.optimize
import scipy.sparse

from mmtf.bounds.reduced import Reduced

# HiGHS allows constraints to be violated by 1e-7 and rounds to 1e-6: subtracted from its bounds.
SLACK = 1e-6
# Statuses of scipy.optimize.milp.
OPTIMAL, INFEASIBLE = 0, 2


class Program:
    """The variables are the pixels, the outputs of the units, and a binary for each loose one.

    Args:
      reduced: the net, in a linf or l1 ball.
      low, high: float64 [units], bounds of the units' inputs. They may be narrower than what
        follows from the ball: the program is that of the part in which they hold.
    """

    def __init__(self, reduced: Reduced, low: np.ndarray, high: np.ndarray):
        pixels, units = reduced.pixels, reduced.units
        self._pixels, self._variables = pixels, pixels + units
        loose = (low < 0) & (high > 0)
        self._binaries = int(loose.sum())
        self._rows: list[Any] = []
        self._most: list[np.ndarray] = []
        z = np.delete(reduced.matrix, pixels, 1)
        constant, slope = reduced.matrix[:, pixels], reduced.slope
        y = np.concatenate([np.zeros([units, pixels]), np.eye(units)], 1)
        self._at_most((z - y)[loose], -constant[loose])
        self._at_most((slope[:, None] * z - y)[loose], -(slope * constant)[loose])
        rest = 1.0 - slope
        most = (constant - rest * low)[loose]
        self._at_most((y - z)[loose], most, -(rest * low)[loose])
        most = (slope * constant)[loose]
        self._at_most((y - slope[:, None] * z)[loose], most, -(rest * high)[loose])
        # The others are affine where their input has its sign.
        sign = np.where(low >= 0, 1.0, -1.0)
        factor = np.where(low >= 0, 1.0, slope)
        affine, shift = (y - factor[:, None] * z)[~loose], (factor * constant)[~loose]
        self._at_most(affine, shift)
        self._at_most(-affine, -shift)
        self._at_most((-sign[:, None] * z)[~loose], (sign * constant)[~loose])
        x, below, above = (part[0] for part in reduced.region[:3])
        free = np.full(units, np.inf)
        self._low = np.concatenate([below, -free, np.zeros(self._binaries)])
        self._high = np.concatenate([above, free, np.ones(self._binaries)])
        self._matrix = scipy.sparse.vstack(self._rows, format="csr")
        self._limits = np.concatenate(self._most)
        if reduced.norm == "l1":
            self._add_l1_ball(x, float(reduced.region.eta))

    def minimize(
        self, margin: np.ndarray, seconds: float = math.inf, until: float = math.inf
    ) -> tuple[float, Any]:
        """The least value of a margin.

        Args:
          margin: float64 [pixels + 1 + units], its coefficients.
          seconds: when to stop.
          until: greater values are not told apart; inf: find the least one.

        Returns:
          A lower bound, the least value minus SLACK if the time sufficed, and the image that
          attains it, [pixels], or None.
        """
        constant = margin[self._pixels]
        objective = np.zeros(len(self._low))
        objective[: self._variables] = np.delete(margin, self._pixels)
        matrix, limits = self._matrix, self._limits
        proved = until + SLACK * max(1.0, abs(until))
        if math.isfinite(until):
            # Only images with lower margins matter; that there is none is shown sooner.
            matrix = scipy.sparse.vstack([matrix, scipy.sparse.csr_array(objective[None])], "csr")
            above = proved + SLACK * max(1.0, abs(until)) - constant
            limits = np.concatenate([limits, [above]])
        limit = {} if math.isinf(seconds) else {"time_limit": max(seconds, 1e-3)}
        integrality = np.zeros(len(objective))
        integrality[self._variables : self._variables + self._binaries] = 1
        found = scipy.optimize.milp(
            objective,
            constraints=scipy.optimize.LinearConstraint(matrix, -np.inf, limits),
            bounds=scipy.optimize.Bounds(self._low, self._high),
            integrality=integrality,
            options={"mip_rel_gap": 0.0, **limit},
        )
        if found.status == INFEASIBLE:
            return proved, None
        bound = getattr(found, "mip_dual_bound", None)
        if bound is None or not self._binaries:
            bound = found.fun if found.status == OPTIMAL else -np.inf
        value = bound + constant
        image = None if found.x is None else found.x[: self._pixels]
        return min(value - SLACK * max(1.0, abs(value)), proved), image

    def _at_most(self, rows, most, binaries=None):
        """<rows, pixels and outputs> + <binaries, binaries> <= most; `binaries` is diagonal."""
        count = len(most)
        own = scipy.sparse.csr_array((count, self._binaries))
        if binaries is not None:
            own = scipy.sparse.diags_array(binaries, format="csr")
        self._rows.append(scipy.sparse.hstack([scipy.sparse.csr_array(rows), own], "csr"))
        self._most.append(most)

    def _add_l1_ball(self, x, eta):
        """sum of d_i <= eta with d_i >= |z_i - x_i|."""
        count, before = len(x), len(self._low)
        pixel = scipy.sparse.eye_array(count, before)
        distance = scipy.sparse.eye_array(count)
        blocks = [
            [self._matrix, None],
            [pixel, -distance],
            [-pixel, -distance],
            [None, scipy.sparse.csr_array(np.ones([1, count]))],
        ]
        self._matrix = scipy.sparse.block_array(blocks, format="csr")
        self._limits = np.concatenate([self._limits, x, -x, [eta]])
        self._low = np.concatenate([self._low, np.zeros(count)])
        self._high = np.concatenate([self._high, np.full(count, np.inf)])
