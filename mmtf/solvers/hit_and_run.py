"""Uniform draws from a polytope within a ball, by hit-and-run in the space of its normals.

A vector v satisfies a set of half-spaces a_i + <w_i, v> > 0. Those and the ball ||v||_2 <= radius
make a convex body around v. The half-spaces act only on the component p of v in the span of the
w_i, of dimension r; given p, the orthogonal component q is uniform in a ball of dimension d - r and
of radius (radius^2 - ||p||^2)^(1/2), from which it is drawn in closed form. A step draws q anew and
then moves p to a uniform point of the chord through it along a direction, within the half-spaces
and ||p||^2 <= radius^2 - ||q||^2. Its stationary distribution is uniform on the body (Turchin 1971;
Smith 1984), and a chain moves in r dimensions, not d: the gradients of a net with a first layer of
64 units span at most 64.

The directions make the Hessian of a barrier at its minimum round and are taken in turn: the body
can be long and thin, in which other directions make short steps, and a step along a fixed direction
costs O(n) rather than the O(n r) of a random one.
"""

from typing import NamedTuple

import numpy as np
import scipy.linalg

from mmtf.errors import require, require_int, require_seed
from mmtf.solvers.feasible_subsystem import HalfSpaces

# The ends of a chord are on the border, where rounding decides on which side a point lies.
INNER = 1e-6
NEWTON_STEPS = 60
# Singular values below this share of the largest are the rounding of float32 rows.
RANK = 1e-5
# Share of the chord from the center at which the chains start, apart from one another.
APART = 0.9


class Draws(NamedTuple):
    """Draws from the component of the solutions around a vector.

    Attributes:
      vectors: float64 [samples, d]; each satisfies what the vector does.
      chord_ratio: geometric mean, over the steps, of the body's chord divided by the ball's chord
        on the same line: a proxy of the volume, 1 for the whole ball.
      r_hat: the largest of the split potential scale reductions (Gelman et al. 2013) of ||p||, of
        the component along v and of all r coordinates of p, over all sweeps after the burn-in: near
        1 if the chains have mixed, above about 1.1 if not.
      dimension: r, of the span of the rows.
    """

    vectors: np.ndarray
    chord_ratio: float
    r_hat: float
    dimension: int


def hit_and_run(
    system: HalfSpaces,
    v: np.ndarray,
    *,
    samples: int = 64,
    chains: int = 4,
    burn_in: int = 200,
    thinning: int = 50,
    seed: int = 0,
) -> Draws:
    """Draws from the uniform distribution on {v' in the ball: v' satisfies what v satisfies}.

    Args:
      system: half-spaces and ball.
      v: [d] in the ball.
      samples: number of draws, > 0.
      chains: independent chains, > 0; the draws are taken from them in turn. They start far from
        one another.
      burn_in: sweeps (a step along each of the r directions) before the first draw, > 0.
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
    kept, seen = [], []
    for sweep in range(burn_in + thinning * (-(-samples // chains) - 1) + 1):
        body.sweep()
        if sweep >= burn_in:
            seen.append(body.at.copy())
            if (sweep - burn_in) % thinning == 0:
                kept.append(body.drawn())
    ratio = float(np.exp(body.log_ratio / max(body.steps, 1)))
    r_hat = _largest_r_hat(np.stack(seen), v @ body.basis)
    vectors = np.concatenate(kept)[:samples]
    return Draws(vectors, ratio, r_hat, body.basis.shape[1])


def _largest_r_hat(seen, along):
    """Over ||p||, <p, along> and the coordinates of p [sweeps, chains, r]."""
    if not seen.shape[2]:
        return 1.0  # every draw is independent of the others
    derived = np.stack([np.linalg.norm(seen, axis=2), seen @ along], 2)
    return max(split_r_hat(one.T) for one in np.moveaxis(np.concatenate([seen, derived], 2), 2, 0))


class _Body:
    """The body {v: a_i + <w_i, v> > 0, ||v|| <= radius} and the chains' points p in it.

    Attributes:
      basis: orthonormal, [d, r]: p is in its coordinates.
      at: p of each chain, [chains, r].
    """

    def __init__(self, system, v, chains, rng):
        kept = system.satisfied(v) & system.undecided
        rows, offsets = system.rows[kept].astype(np.float64), system.offsets[kept]
        self.rng, self.squared = rng, system.radius**2 * (1 - 1e-12)
        for basis in (_row_space(rows), np.eye(len(v))):
            inner = rows @ basis
            # What the basis leaves of a row may cost a draw this much: the half-space is moved in.
            rest = np.linalg.norm(rows - inner @ basis.T, axis=1)
            self.basis, self.rows = basis, inner
            self.offsets = offsets - system.radius * rest
            if (self.offsets + inner @ (v @ basis) > 0).all():
                break
        self.free = len(v) - basis.shape[1]  # dimension of q
        self.log_ratio, self.steps = 0.0, 0
        center, hessian = self._center(v @ basis, system.radius**2 * (1 + 1e-9))
        center *= np.sqrt(self.squared / max(center @ center, self.squared))
        # Rows u_j with U' U = H^-1: the Hessian of the center is round in them.
        lower = np.linalg.cholesky(hessian)
        directions = scipy.linalg.solve_triangular(lower, np.eye(len(center)), lower=True)
        self.at = np.tile(center, (chains, 1))
        apart = rng.normal(size=(chains, len(center))) @ directions
        if len(center):
            low, high, _ = self._chords(apart, self._slack(), apart @ self.rows.T, 0.0)
            self.at += (APART * np.where(rng.uniform(size=chains) < 0.5, low, high))[
                :, None
            ] * apart
        self.directions = directions / np.linalg.norm(directions, axis=1, keepdims=True)
        self.columns = self.directions @ self.rows.T  # [r, m]

    def _center(self, p, squared):
        """Minimizer of -sum log z_i - (1 + (d - r) / 2) log(radius^2 - ||p||^2), and its Hessian.

        The second term is the density of p without half-spaces, times the barrier of the ball. It
        is reached over the analytic center, because p may lie on the sphere.
        """
        hessian = np.eye(len(p))
        for weight in dict.fromkeys((1.0, 1.0 + self.free / 2)):
            for _ in range(NEWTON_STEPS):
                inverse, left = 1.0 / (self.offsets + self.rows @ p), squared - p @ p
                gradient = 2 * weight * p / left - self.rows.T @ inverse
                factors = self.rows * inverse[:, None]
                ball = 2 * np.eye(len(p)) / left + 4 * np.outer(p, p) / left**2
                hessian = factors.T @ factors + weight * ball
                step = -scipy.linalg.solve(hessian, gradient, assume_a="pos")
                slope, size = gradient @ step, 1.0
                if -slope < 1e-2:  # the squared Newton decrement: close enough for a start
                    break
                now = self._barrier(p, weight, squared) + 0.1 * size * slope
                while self._barrier(p + size * step, weight, squared) > now and size > 1e-9:
                    size /= 2
                    now = self._barrier(p, weight, squared) + 0.1 * size * slope
                p = p + size * step
        return p, hessian

    def _barrier(self, p, weight, squared):
        slack, left = self.offsets + self.rows @ p, squared - p @ p
        if left <= 0 or (slack <= 0).any():
            return np.inf
        return -np.log(slack).sum() - weight * np.log(left)

    def _slack(self):
        return self.offsets + self.at @ self.rows.T  # [chains, m]

    def _chords(self, directions, slack, columns, taken):
        """(low, high) of t with at + t direction in the body, and half the ball's chord.

        Args:
          directions: [chains, r], or [r] for all.
          slack: [chains, m].
          columns: directions @ rows', [chains, m] or [m].
          taken: ||q||^2, [chains] or 0.
        """
        length = np.linalg.norm(directions, axis=-1)
        own = (self.at * directions).sum(1) / length
        half = np.sqrt(np.maximum(self.squared - taken - (self.at**2).sum(1), 0.0) + own**2)
        with np.errstate(divide="ignore", invalid="ignore"):
            ends = -slack / columns
        low = np.where(columns > 0, ends, -np.inf).max(1, initial=-np.inf)
        high = np.where(columns < 0, ends, np.inf).min(1, initial=np.inf)
        # Rounding may put a point on the border by 1e-16: it then stays where it is.
        low = np.minimum(np.maximum(low, (-half - own) / length), 0.0)
        high = np.maximum(np.minimum(high, (half - own) / length), 0.0)
        return low, high, half / length

    def _taken(self):
        """||q||^2 of a q drawn for each chain: uniform in its ball of dimension d - r."""
        if not self.free:
            return 0.0
        left = np.maximum(self.squared - (self.at**2).sum(1), 0.0)
        return left * self.rng.uniform(size=len(left)) ** (2 / self.free)

    def sweep(self):
        """A step along every direction, for each chain."""
        slack = self._slack()
        for direction, column in zip(self.directions, self.columns, strict=True):
            low, high, half = self._chords(direction, slack, column, self._taken())
            step = low + (high - low) * self.rng.uniform(INNER, 1 - INNER, len(low))
            slack += step[:, None] * column
            self.at += step[:, None] * direction
            chord = np.maximum(high - low, np.finfo(np.float64).tiny)
            self.log_ratio += float(np.log(chord / np.maximum(2 * half, chord)).mean())
            self.steps += 1

    def drawn(self):
        """v of each chain, [chains, d]: p and a q drawn anew."""
        found = self.at @ self.basis.T
        if self.free:
            q = self.rng.normal(size=found.shape)
            q -= (q @ self.basis) @ self.basis.T
            length = np.linalg.norm(q, axis=1)
            found += q * (np.sqrt(self._taken()) / length)[:, None]
        return found


def _row_space(rows):
    """An orthonormal basis [d, r] of the span of the rows [m, d], up to rounding of float32."""
    if not len(rows):
        return np.zeros((rows.shape[1], 0))
    _, sizes, basis = np.linalg.svd(rows, full_matrices=False)
    return basis[sizes > RANK * sizes[0]].T


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
