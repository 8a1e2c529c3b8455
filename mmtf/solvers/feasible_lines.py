"""Local search of the maximum feasible subsystem by exact searches along lines.

Along a line v + t u the number of satisfied half-spaces is a step function of t. Its maximum in the
ball is found exactly by sorting the n points at which the line leaves or enters a half-space, at a
cost of O(n log n + n d). `refined` searches many lines around a vector at once. NumPy only.
"""

import numpy as np
from scipy.special import expit

from mmtf.errors import require_int, require_seed
from mmtf.solvers.feasible_subsystem import Feasible, HalfSpaces

# Half-spaces next to the vector whose lines are searched: not satisfied, and satisfied ones.
NEAR, NEAR_SATISFIED = 64, 32
# Largest number of half-planes of which all lines are searched: the cost is its square.
PLANE_MOST = 200
# Shares of the radius: temperatures of the sigmoid whose gradients are directions; distance of a
# line from the boundary along which it runs; narrowest interval of t |u| that counts.
TEMPERATURES = (0.3, 0.1, 0.03, 0.01, 0.003)
EDGE, NARROW = 1e-6, 1e-6
# Rounds without a better vector after which the search ends.
PATIENCE = 4
TINY = np.finfo(np.float64).tiny


def refined(system: HalfSpaces, found: Feasible, *, rounds: int = 100, seed: int = 0) -> Feasible:
    """Moves the vector of a search to better ones, each the best of many lines.

    The lines of a round run through the vector, along the gradients of a sigmoid at several
    temperatures, along the normals of the nearest half-spaces and along these normals with the
    slack of another near half-space kept; and just inside the boundary of each near half-space,
    along the gradients. The middle of the best interval of all becomes the next vector, even if it
    satisfies no more half-spaces than the last one. Of at most 200 half-planes a line runs inside
    the boundary of each, of which the best cell has one unless it fills the disk: one round then
    finds the maximum, but for cells that are thinner than 1e-6 of the radius.

    Args:
      system: the half-spaces.
      found: of `mmtf.solvers.feasible_subsystem.search`.
      rounds: > 0, at most; it ends after 4 rounds without a better vector.
      seed: of the pairs of half-spaces.

    Returns:
      `found` with the best vector and its count, not below that of `found`.

    Example:
      >>> w = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
      >>> system = HalfSpaces(np.array([-0.5, -0.5, -0.6]), w, 1.0)
      >>> refined(system, Feasible(np.zeros(2), 0, np.zeros(1))).satisfied
      2
    """
    require_int("rounds", rounds)
    require_seed(seed)
    kept = system.undecided
    if not kept.any():
        return found
    lines = _Lines(system, kept, np.random.default_rng(seed))
    v, best, stale = found.vector, found, 0
    for _ in range(rounds):
        v = lines.best_around(v)
        count = system.count(v)
        stale = 0 if count > best.satisfied else stale + 1
        if not stale:
            best = found._replace(vector=v, satisfied=count)
        elif stale == PATIENCE:
            break
    return best


class _Lines:
    """The undecided half-spaces, and lines around a vector."""

    def __init__(self, system, kept, rng):
        self.system, self.rng, self.radius = system, rng, system.radius
        self.rows = system.rows[kept]
        self.offsets, self.sizes = system.offsets[kept], system.reach[kept] / system.radius

    def best_around(self, v):
        """The middle of the best interval on the lines around v, [d] in the ball."""
        base, directions = self._lines(v)
        score, at = self._searched(base, directions)
        first = int(score.argmax())
        return self.system.into_ball(base[first] + at[first] * directions[first])

    def _lines(self, v):
        """Points [k, d] and directions [k, d]."""
        distance = (self.offsets + self.rows @ v) / self.sizes
        out, inside = np.flatnonzero(distance <= 0), np.flatnonzero(distance > 0)
        plane = len(v) == 2
        every = plane and len(distance) <= PLANE_MOST
        out = out[np.argsort(-distance[out])][: None if every else NEAR]
        inside = inside[np.argsort(distance[inside])][: None if every else NEAR_SATISFIED]
        near = np.concatenate([out, inside])
        normals = self.rows[near].astype(np.float64) / self.sizes[near, None]
        gradients = self._gradients(distance * self.sizes)
        edges = v - (distance[near, None] - EDGE * self.radius) * normals
        base, directions = [edges, edges], []
        for gradient in (gradients[1], gradients[3]):
            along = gradient - (normals @ gradient)[:, None] * normals
            turned = normals[:, ::-1] * [-1, 1] if plane else along
            directions.append(turned)
        directions += [normals, gradients, self._pairs(normals, len(out))]
        base += [np.broadcast_to(v, one.shape) for one in directions[2:]]
        starts, ways = np.concatenate(base), np.concatenate(directions)
        moves = np.linalg.norm(ways, axis=1) > NARROW
        return starts[moves], ways[moves]

    def _gradients(self, z):
        """Unit gradients of the sum of 1 / (1 + exp(-z / t)), one for each temperature t."""
        p = expit(z[:, None] / (self.radius * np.array(TEMPERATURES)))
        found = ((p * (1 - p)).T.astype(self.rows.dtype) @ self.rows).astype(np.float64)
        return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), TINY)

    def _pairs(self, normals, count):
        """Normals of half-spaces that are not satisfied, orthogonal to that of a satisfied one."""
        if not 0 < count < len(normals):
            return normals[:0]
        wanted = normals[self.rng.integers(0, count, NEAR)]
        held = normals[self.rng.integers(count, len(normals), NEAR)]
        return wanted - (wanted * held).sum(1, keepdims=True) * held

    def _searched(self, base, directions):
        """For each line: the best count plus half the share of its interval, and the middle."""
        z = self.offsets[:, None] + self.rows @ base.T  # [n, k]
        slope = self.rows @ directions.T
        length = (directions**2).sum(1)
        own = (base * directions).sum(1)
        root = own**2 - length * ((base**2).sum(1) - self.radius**2)
        half = np.sqrt(np.maximum(root, 0.0))
        low, high = (-own - half) / length, (-own + half) / length
        with np.errstate(divide="ignore", invalid="ignore"):
            crossing = -z / slope
        crosses = (crossing > low) & (crossing < high)
        crossing = np.where(crosses, crossing, high)
        order = np.argsort(crossing, 0)
        change = np.take_along_axis(np.where(crosses, np.sign(slope), 0.0), order, 0)
        # Just behind the first end of the chord.
        first = np.where(crosses, slope < 0, z + (low + high) / 2 * slope > 0).sum(0)
        counts = first + np.concatenate([np.zeros_like(change[:1]), np.cumsum(change, 0)])
        between = np.take_along_axis(crossing, order, 0)
        ends = np.concatenate([low[None], between, high[None]])
        width = np.diff(ends, axis=0)
        share = width / np.maximum(high - low, TINY)
        wide = (width * np.sqrt(length) > NARROW * self.radius) & (root > 0)
        score = np.where(wide, counts + 0.5 * share, -1.0)
        best, line = score.argmax(0), np.arange(len(base))
        return score[best, line], (ends[best, line] + ends[best + 1, line]) / 2
