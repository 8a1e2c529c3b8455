"""The maximum feasible subsystem of strict half-spaces in a Euclidean ball, by local search.

    maximize  #{i : a_i + <w_i, v> > 0}  over  ||v||_2 <= radius

This is NP-hard in the dimension. `search` ascends a surrogate by projected gradient steps from
several starts at once and keeps the iterate of the largest count. `mmtf.solvers.feasible_exact`
solves small systems exactly, `mmtf.solvers.hit_and_run` samples the solutions around a vector.
NumPy only.
"""

import dataclasses
import functools
from typing import NamedTuple

import numpy as np
from scipy.special import expit

from mmtf.errors import require, require_choice, require_int, require_number, require_seed

SURROGATES = ("hinge", "sigmoid")
# Shares of the radius: length of the first and of the last step, margin of the hinge, and last
# temperature of the sigmoid. Its first temperatures are shares of the larger of the radius and the
# offsets' deviation, one for every other start: at 1 nearly all starts end in one vector, which is
# safe, and at 0.1 they stay apart, of which the best is often better with thousands of half-spaces.
FIRST_STEP, LAST_STEP = 0.3, 0.003
HINGE_MARGIN = 0.05
FIRST_TEMPERATURES, LAST_TEMPERATURE = (1.0, 0.1), 0.01


@dataclasses.dataclass(frozen=True, eq=False)
class HalfSpaces:
    """The half-spaces a_i + <w_i, v> > 0 and the ball ||v||_2 <= radius.

    Attributes:
      offsets: a, [n]; infinite offsets are allowed, of half-spaces that v cannot change.
      rows: w, finite, [n, d]; zero rows are allowed.
      radius: > 0.

    Raises:
      ConfigError: other shapes, no row, rows that are not finite, or offsets that are NaN.

    Example:
      >>> system = HalfSpaces(np.array([-0.5, 0.2]), np.array([[1.0, 0.0], [0.0, 1.0]]), 1.0)
      >>> system.count(np.array([0.8, 0.0])), system.count(np.zeros(2))
      (2, 1)
    """

    offsets: np.ndarray
    rows: np.ndarray
    radius: float

    def __post_init__(self) -> None:
        offsets = np.asarray(self.offsets, np.float64)
        rows = np.asarray(self.rows)
        object.__setattr__(self, "offsets", offsets)
        object.__setattr__(self, "rows", rows)
        shapes = f"offsets {offsets.shape}, rows {rows.shape}"
        right = rows.ndim == 2 and rows.size > 0 and offsets.shape == rows.shape[:1]
        require(right, "offsets [n] and rows [n, d] with n, d > 0", shapes)
        require(not np.isnan(offsets).any(), "offsets that are numbers", "NaN")
        require(bool(np.isfinite(rows).all()), "finite rows", "NaN or infinity")
        require_number("radius", self.radius, above=0)

    def satisfied(self, v: np.ndarray) -> np.ndarray:
        """bool [n]: which half-spaces contain v [d]; computed in float64."""
        return self.offsets + self.rows.astype(np.float64, copy=False) @ np.asarray(v) > 0

    def count(self, v: np.ndarray) -> int:
        """Number of half-spaces that contain v [d]."""
        return int(self.satisfied(v).sum())

    @functools.cached_property
    def reach(self) -> np.ndarray:
        """radius ||w_i||, float64 [n]: how far v can change <w_i, v>."""
        return self.radius * np.linalg.norm(self.rows.astype(np.float64, copy=False), axis=1)

    @functools.cached_property
    def undecided(self) -> np.ndarray:
        """bool [n]: half-spaces that contain a part of the ball and not all of it."""
        return (self.offsets + self.reach > 0) & (self.offsets - self.reach <= 0)

    @property
    def upper_bound(self) -> int:
        """Number of half-spaces that meet the ball: no v satisfies more."""
        return int((self.offsets + self.reach > 0).sum())

    def into_ball(self, v: np.ndarray) -> np.ndarray:
        """Projects vectors [..., d] to the ball."""
        length = np.linalg.norm(v, axis=-1, keepdims=True)
        return v * (self.radius / np.maximum(length, self.radius)).astype(v.dtype)


class Feasible(NamedTuple):
    """The result of a search.

    Attributes:
      vector: v, float64 [d] in the ball.
      satisfied: number of half-spaces that contain it.
      counts: the best count of each start, int [k].
    """

    vector: np.ndarray
    satisfied: int
    counts: np.ndarray


def default_starts(system: HalfSpaces, *, random: int = 4, seed: int = 0) -> np.ndarray:
    """Starts [k, d] of a search: 0, the mean row at full length, and random points of the sphere.

    Args:
      system: the half-spaces.
      random: number of random starts, >= 0.
      seed: of the random starts.
    """
    require_int("random", random, at_least=0)
    require_seed(seed)
    drawn = np.random.default_rng(seed).normal(size=(random, system.rows.shape[1]))
    directions = np.concatenate([system.rows.mean(0, dtype=np.float64)[None], drawn])
    return np.concatenate([np.zeros((1, system.rows.shape[1])), at_length(directions, system)])


def at_length(directions: np.ndarray, system: HalfSpaces) -> np.ndarray:
    """Scales directions [k, d] to the length of the radius; zeros stay zeros."""
    length = np.linalg.norm(directions, axis=-1, keepdims=True)
    return directions * (system.radius / np.where(length > 0, length, 1.0))


def search(
    system: HalfSpaces,
    surrogate: str = "sigmoid",
    *,
    starts: np.ndarray | None = None,
    steps: int = 200,
    seed: int = 0,
) -> Feasible:
    """Maximizes a surrogate of the count by projected gradient steps from several starts.

    With z_i = a_i + <w_i, v>, `hinge` minimizes the mean of max(0, m - z_i) with m = 0.05 radius;
    it is convex, and a half-space that cannot be satisfied pulls as hard as one that can. `sigmoid`
    maximizes the mean of 1 / (1 + exp(-z_i / t)), whose temperature t falls geometrically to 0.01
    radius, from the spread of the offsets or a tenth of it for every other start: half-spaces far
    out of reach then no longer pull. Steps have a fixed length, which falls geometrically from 0.3
    to 0.003 radius. The result is the iterate of the largest count.

    Args:
      system: the half-spaces; those that the ball lies wholly in or out of cost nothing.
      surrogate: `hinge` or `sigmoid`.
      starts: points of the ball, [k, d]; None: `default_starts`.
      steps: > 0.
      seed: of the random starts.

    Raises:
      ConfigError: an unknown surrogate, or starts of another shape.

    Example:
      >>> w = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
      >>> search(HalfSpaces(np.array([-0.5, -0.5, -0.6]), w, 1.0)).satisfied
      2
    """
    require_choice("surrogate", surrogate, SURROGATES)
    require_int("steps", steps)
    if starts is None:
        starts = default_starts(system, seed=seed)
    starts = np.atleast_2d(starts)
    wanted = f"starts [k, {system.rows.shape[1]}]"
    require(starts.ndim == 2 and starts.shape[1] == system.rows.shape[1], wanted, starts.shape)
    best = _ascend(system, surrogate, starts, steps)
    counts = np.array([system.count(v) for v in best])
    first = int(np.argmax(counts))
    return Feasible(best[first], int(counts[first]), counts)


def _ascend(system, surrogate, starts, steps):
    """The iterate of the largest count from each start, float64 [k, d] in the ball."""
    kept = system.undecided
    # float32 halves the time of the products; the counts that are returned are float64's.
    rows = np.ascontiguousarray(system.rows[kept], np.float32)
    offsets = system.offsets[kept].astype(np.float32)[:, None]
    v = system.into_ball(starts.astype(np.float32))
    best, most = v.copy(), np.full(len(v), -1)
    if not len(rows):
        return system.into_ball(best.astype(np.float64))
    slopes = _slopes(surrogate, system.radius, float(np.std(offsets)), steps, len(v))
    lengths = np.geomspace(FIRST_STEP, LAST_STEP, steps) * system.radius
    for slope, length in zip([*slopes, None], [*lengths, 0.0], strict=True):
        z = offsets + rows @ v.T
        counts = (z > 0).sum(0)
        better = counts > most
        best[better], most[better] = v[better], counts[better]
        if slope is not None:
            gradient = (rows.T @ slope(z)).T
            norm = np.linalg.norm(gradient, axis=1, keepdims=True)
            step = gradient / np.maximum(norm, np.finfo(np.float32).tiny)
            v = system.into_ball(v + np.float32(length) * step)
    return system.into_ball(best.astype(np.float64))


def _slopes(surrogate, radius, spread, steps, starts):
    """For each step, the derivative of the surrogate at z [n, starts], up to a factor."""
    if surrogate == "hinge":
        margin = np.float32(HINGE_MARGIN * radius)
        return [lambda z: (z < margin).astype(np.float32)] * steps
    first = np.resize(FIRST_TEMPERATURES, starts) * max(spread, radius)
    temperatures = np.geomspace(first, LAST_TEMPERATURE * radius, steps).astype(np.float32)
    return [functools.partial(_bell, one) for one in temperatures]


def _bell(temperatures, z):
    p = expit(z / temperatures)
    return p * (1 - p)
