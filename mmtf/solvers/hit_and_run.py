"""Uniform draws from a polytope within a ball, by hit-and-run along fixed directions.

A vector v satisfies a set of half-spaces a_i + <w_i, v> > 0. Those and the ball ||v||_2 <= radius
make a convex body around v. One step moves a point to a uniform point of the chord through it along
a direction; its stationary distribution is uniform on the body (Turchin 1971; Smith 1984). The
chains start at the body's analytic center. Their directions make the Dikin ellipsoid of the center
round and are taken in turn: the body can be long and thin, in which other directions make short
steps, and a step along a fixed direction costs O(n) rather than the O(n d) of a random one.
"""

from typing import NamedTuple

import numpy as np
import scipy.linalg

from mmtf.errors import require, require_int, require_seed
from mmtf.solvers.feasible_subsystem import HalfSpaces

# The ends of a chord are on the border, where rounding decides on which side a point lies.
INNER = 1e-6
NEWTON_STEPS = 40


class Draws(NamedTuple):
    """Draws from the component of the solutions around a vector.

    Attributes:
      vectors: float64 [samples, d]; each satisfies what the vector does.
      chord_ratio: geometric mean, over the steps, of the body's chord divided by the ball's chord
        on the same line: a proxy of the volume, 1 for the whole ball.
      r_hat: the larger of the split potential scale reductions (Gelman et al. 2013) of ||v|| and of
        the component along v: near 1 if the chains have mixed, above about 1.1 if not.
    """

    vectors: np.ndarray
    chord_ratio: float
    r_hat: float


def hit_and_run(
    system: HalfSpaces,
    v: np.ndarray,
    *,
    samples: int = 64,
    chains: int = 4,
    burn_in: int = 20,
    thinning: int = 1,
    seed: int = 0,
) -> Draws:
    """Draws from the uniform distribution on {v' in the ball: v' satisfies what v satisfies}.

    Args:
      system: half-spaces and ball.
      v: [d] in the ball.
      samples: number of draws, > 0.
      chains: independent chains, > 0; the draws are taken from them in turn.
      burn_in: sweeps (a step along each of the d directions) before the first draw, > 0.
      thinning: sweeps between draws of a chain, > 0.
      seed: of the steps.

    Raises:
      ConfigError: v has another shape or lies outside the ball.

    Example:
      >>> system = HalfSpaces(np.array([0.0]), np.array([[1.0, 0.0]]), 1.0)
      >>> draws = hit_and_run(system, np.array([0.5, 0.0]), samples=8)
      >>> draws.vectors.shape, bool((draws.vectors[:, 0] > 0).all())
      ((8, 2), True)
    """
    for name, value in {"samples": samples, "chains": chains, "burn_in": burn_in}.items():
        require_int(name, value)
    require_int("thinning", thinning)
    require_seed(seed)
    v = np.asarray(v, np.float64)
    dimension = system.rows.shape[1]
    inside = v.shape == (dimension,) and bool(np.linalg.norm(v) <= system.radius * (1 + 1e-9))
    require(inside, f"v [{dimension}] in the ball", f"shape {v.shape}")
    body = _Body(system, v, chains, np.random.default_rng(seed))
    kept = []
    for sweep in range(burn_in + thinning * (-(-samples // chains) - 1) + 1):
        body.sweep()
        if sweep >= burn_in and (sweep - burn_in) % thinning == 0:
            kept.append(body.at.copy())
    drawn = np.stack(kept)  # [draws of a chain, chains, d]
    ratio = float(np.exp(body.log_ratio / body.steps))
    statistics = (np.linalg.norm(drawn, axis=-1), drawn @ v)
    r_hat = max(split_r_hat(one.T) for one in statistics)
    return Draws(drawn.reshape(-1, dimension)[:samples], ratio, r_hat)


class _Body:
    """The body {v: a_i + <w_i, v> > 0, ||v|| <= radius} and the chains' points in it."""

    def __init__(self, system, v, chains, rng):
        kept = system.satisfied(v) & system.undecided
        self.rows = system.rows[kept].astype(np.float64)
        self.offsets, self.rng = system.offsets[kept], rng
        self.squared = system.radius**2 * (1 - 1e-12)
        center, hessian = self._center(v, system.radius**2 * (1 + 1e-9))
        self.at = np.tile(system.into_ball(center), (chains, 1))
        # Columns u_j with U U' = H^-1: the Dikin ellipsoid of the center is round in them.
        lower = np.linalg.cholesky(hessian)
        directions = scipy.linalg.solve_triangular(lower, np.eye(len(v)), lower=True)
        self.directions = directions / np.linalg.norm(directions, axis=1, keepdims=True)
        self.columns = self.directions @ self.rows.T  # [d, m]
        self.log_ratio, self.steps = 0.0, 0

    def _center(self, v, squared):
        """The analytic center, the minimizer of -sum log z_i - log(radius^2 - ||v||^2)."""

        def barrier(v):
            slack, left = self.offsets + self.rows @ v, squared - v @ v
            if left <= 0 or (slack <= 0).any():
                return np.inf
            return -np.log(slack).sum() - np.log(left)

        for _ in range(NEWTON_STEPS):
            inverse, left = 1.0 / (self.offsets + self.rows @ v), squared - v @ v
            gradient = 2 * v / left - self.rows.T @ inverse
            # The Hessian is factors' factors + 2 / left I.
            factors = np.concatenate([self.rows * inverse[:, None], 2 * v[None] / left])
            step = -_solved(factors, 2 / left, gradient)
            now, slope, size = barrier(v), gradient @ step, 1.0
            if -slope < 1e-2:  # the squared Newton decrement: close enough for a start
                break
            while barrier(v + size * step) > now + 0.1 * size * slope and size > 1e-9:
                size /= 2
            v = v + size * step
        return v, factors.T @ factors + 2 * np.eye(len(v)) / left

    def sweep(self):
        """A step along every direction, for each chain."""
        slack = self.offsets + self.at @ self.rows.T  # [chains, m]
        for direction, column in zip(self.directions, self.columns, strict=True):
            own = self.at @ direction
            half = np.sqrt(np.maximum(self.squared - (self.at**2).sum(1), 0.0) + own**2)
            with np.errstate(divide="ignore", invalid="ignore"):
                ends = -slack / column
            low = np.where(column > 0, ends, -np.inf).max(1, initial=-np.inf)
            high = np.where(column < 0, ends, np.inf).min(1, initial=np.inf)
            # Rounding may put a point on the border by 1e-16: it then stays where it is.
            low = np.minimum(np.maximum(low, -half - own), 0.0)
            high = np.maximum(np.minimum(high, half - own), 0.0)
            step = low + (high - low) * self.rng.uniform(INNER, 1 - INNER, len(own))
            slack += step[:, None] * column
            self.at += step[:, None] * direction
            chord = np.maximum(high - low, np.finfo(np.float64).tiny)
            self.log_ratio += float(np.log(chord / np.maximum(2 * half, chord)).mean())
            self.steps += 1


def _solved(factors, ridge, vector):
    """(F'F + ridge I)^-1 vector for F [m, d], in the smaller of the two dimensions (Woodbury)."""
    m, d = factors.shape
    if m >= d:
        matrix = factors.T @ factors + ridge * np.eye(d)
        return scipy.linalg.solve(matrix, vector, assume_a="pos")
    matrix = factors @ factors.T + ridge * np.eye(m)
    inner = scipy.linalg.solve(matrix, factors @ vector, assume_a="pos")
    return (vector - factors.T @ inner) / ridge


def split_r_hat(values: np.ndarray) -> float:
    """The split potential scale reduction of chains [chains, draws]; 1.0 with under 4 draws.

    Each chain is cut in two; with B the variance between the halves' means and W the mean variance
    within, R = sqrt((W (h - 1) / h + B) / W) for halves of h draws.

    Source: Gelman et al. (2013), "Bayesian Data Analysis", 3rd edition, section 11.4.

    Example:
      >>> split_r_hat(np.array([[0.0, 1.0, 0.0, 1.0], [1.0, 0.0, 1.0, 0.0]])) <= 1.0
      True
    """
    half = values.shape[1] // 2
    if half < 2:
        return 1.0
    parts = np.concatenate([values[:, :half], values[:, -half:]])
    within = parts.var(1, ddof=1).mean()
    between = parts.mean(1).var(ddof=1)
    if within <= 0:
        return 1.0 if between <= 0 else float("inf")
    return float(np.sqrt((within * (half - 1) / half + between) / within))
