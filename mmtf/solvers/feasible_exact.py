"""The exact maximum feasible subsystem: by vertices in the plane, by integer programming else."""

import contextlib
import itertools
import math
import os
import sys
import time
from typing import NamedTuple

import numpy as np
import scipy.optimize

from mmtf.errors import require, require_int, require_number
from mmtf.solvers.feasible_subsystem import HalfSpaces

PLANE_MOST, PROGRAM_MOST, PAIRS_MOST = 12, 200, 40
# Of the radius: distance of a probe from a vertex, and by how much the program satisfies a
# half-space that it counts. HiGHS allows a constraint to be violated by 1e-7.
PROBE, STRICT = 1e-6, 1e-6
WHOLE = 1e-6  # HiGHS' tolerance of a whole number


class Exact(NamedTuple):
    """The result of an exact solver.

    Attributes:
      vector: the best v found, float64 [d] in the ball.
      satisfied: number of half-spaces that contain it.
      bound: no vector satisfies more half-spaces; `satisfied` is the maximum if it equals `bound`.
    """

    vector: np.ndarray
    satisfied: int
    bound: int


def exact_in_the_plane(system: HalfSpaces) -> Exact:
    """Solves a system of at most 12 half-planes by visiting every cell of their arrangement.

    The count is constant on each cell into which the lines cut the disk. Unless no line crosses the
    disk, every cell has a corner: where two lines cross, or a line meets the circle. Points are
    probed close around all corners, in a direction between any two neighboring lines. A cell
    thinner than 1e-6 of the radius can be missed.

    Args:
      system: with d = 2 and n <= 12.

    Raises:
      ConfigError: more than 12 half-planes, or another dimension.

    Example:
      >>> w = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
      >>> exact_in_the_plane(HalfSpaces(np.array([-0.5, -0.5, -0.6]), w, 1.0)).satisfied
      2
    """
    n, d = system.rows.shape
    require(d == 2 and n <= PLANE_MOST, f"at most {PLANE_MOST} half-planes, d = 2", (n, d))
    probes = np.concatenate([np.zeros((1, 2)), *map(_around(system), _corners(system))])
    probes = probes[np.linalg.norm(probes, axis=1) <= system.radius]
    counts = (system.offsets[:, None] + system.rows.astype(np.float64) @ probes.T > 0).sum(0)
    best = int(np.argmax(counts))
    return Exact(probes[best], int(counts[best]), int(counts[best]))


def _corners(system):
    """Where two lines cross within the disk, and where a line meets the circle."""
    lines = [
        (a, w.astype(np.float64))
        for a, w in zip(system.offsets, system.rows, strict=True)
        if np.any(w) and math.isfinite(a)
    ]
    found = []
    for a, w in lines:
        length = np.linalg.norm(w)
        foot, along = -a * w / length**2, np.array([-w[1], w[0]]) / length
        rest = system.radius**2 - foot @ foot
        if rest > 0:
            found += [foot + sign * math.sqrt(rest) * along for sign in (1, -1)]
    for (a, v), (b, w) in itertools.combinations(lines, 2):
        matrix = np.stack([v, w])
        if abs(np.linalg.det(matrix)) > 1e-12 * np.linalg.norm(v) * np.linalg.norm(w):
            found.append(np.linalg.solve(matrix, [-a, -b]))
    return found


def _around(system):
    """Function of a corner: points close to it, in directions between neighboring lines."""
    rows = system.rows[np.any(system.rows, axis=1)].astype(np.float64)
    lines = np.arctan2(rows[:, 1], rows[:, 0]) + math.pi / 2

    def probes(corner):
        tangent = math.atan2(corner[1], corner[0]) + math.pi / 2
        angles = np.sort(np.mod(np.append(lines, tangent), math.pi))
        angles = np.concatenate([angles, angles + math.pi, angles[:1] + 2 * math.pi])
        middle = (angles[1:] + angles[:-1]) / 2
        step = PROBE * system.radius
        return corner + step * np.stack([np.cos(middle), np.sin(middle)], 1)

    return probes


def exact_by_program(
    system: HalfSpaces, *, start: np.ndarray | None = None, seconds: float = 60.0
) -> Exact:
    """Solves a system of at most 200 half-spaces by mixed-integer programs over a polyhedral ball.

    With binaries b_i and numbers M_i large enough,

        maximize sum b_i,   a_i + <w_i, v> >= -M_i (1 - b_i),   |v_j| <= radius,
        |<w_i, v>| <= radius ||w_i||,   <w_i + w_j, v> <= radius ||w_i + w_j||.

    The last constraints hold in the ball; those of pairs are left out with more than 40 open
    half-spaces. A solution v outside the ball adds the cut <v / ||v||, v'> <= radius to the
    polyhedron, and the program is solved again. Only the space that the rows span is searched.
    SciPy's HiGHS solves the programs; the time grows exponentially with n, so `seconds` bounds it.
    A half-space counts as satisfiable where z_i >= 1e-6 radius.

    Args:
      system: n <= 200.
      start: a vector [d] in the ball, returned if the programs find none that is better; None: 0.
      seconds: limit of the time of all programs, > 0; `bound` holds even when it is over.

    Raises:
      ConfigError: more than 200 half-spaces.

    Example:
      >>> w = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
      >>> exact_by_program(HalfSpaces(np.array([-0.5, -0.5, -0.6]), w, 1.0))[1:]
      (2, 2)
    """
    require_int("n", len(system.rows))
    most = f"at most {PROGRAM_MOST} half-spaces"
    require(len(system.rows) <= PROGRAM_MOST, most, len(system.rows))
    require_number("seconds", seconds, above=0)
    until = time.monotonic() + seconds
    kept = system.undecided
    best, bound = np.zeros(system.rows.shape[1]), system.upper_bound
    best = best if start is None else np.asarray(start, np.float64)
    decided = bound - int(kept.sum())
    if not kept.any():
        return Exact(best, system.count(best), bound)
    basis = _row_space(system.rows[kept].astype(np.float64))
    rows, offsets = system.rows[kept] @ basis, system.offsets[kept]
    cuts = _pairs(rows)
    while (left := until - time.monotonic()) > 0:
        found = _program(rows, offsets, system.reach[kept], cuts, system.radius, left)
        if found.mip_dual_bound is not None and math.isfinite(found.mip_dual_bound):
            bound = min(bound, decided + math.floor(-found.mip_dual_bound + WHOLE))
        if found.x is None:
            break
        inner = found.x[: basis.shape[1]]
        v = system.into_ball(basis @ inner)
        if system.count(v) > system.count(best):
            best = v
        if system.count(best) >= bound or np.linalg.norm(inner) <= system.radius * (1 + 1e-9):
            break
        cuts = np.concatenate([cuts, inner[None] / np.linalg.norm(inner)])
    return Exact(best, system.count(best), bound)


def _row_space(rows):
    """An orthonormal basis [d, r] of the span of the rows."""
    _, sizes, basis = np.linalg.svd(rows, full_matrices=False)
    return basis[sizes > 1e-10 * sizes[0]].T


def _pairs(rows):
    """Unit vectors along the sums of two rows, for cuts <u, v> <= radius."""
    if len(rows) > PAIRS_MOST:
        return np.zeros((0, rows.shape[1]))
    sums = np.stack([v + w for v, w in itertools.combinations(rows, 2)] or [rows[0]])
    length = np.linalg.norm(sums, axis=1, keepdims=True)
    return (sums / np.where(length > 0, length, 1.0))[length[:, 0] > 0]


def _program(rows, offsets, reach, cuts, radius, seconds):
    n, d = rows.shape
    margin = STRICT * radius
    large = reach - offsets + margin
    constraints = [
        scipy.optimize.LinearConstraint(
            np.hstack([rows, -np.diag(large)]), margin - offsets - large, np.inf
        ),
        scipy.optimize.LinearConstraint(np.hstack([rows, np.zeros((n, n))]), -reach, reach),
    ]
    if len(cuts):
        padded = np.hstack([cuts, np.zeros((len(cuts), n))])
        constraints.append(scipy.optimize.LinearConstraint(padded, -np.inf, radius))
    with _silent():
        return scipy.optimize.milp(
            np.concatenate([np.zeros(d), -np.ones(n)]),
            constraints=constraints,
            bounds=scipy.optimize.Bounds(
                np.concatenate([np.full(d, -radius), np.zeros(n)]),
                np.concatenate([np.full(d, radius), np.ones(n)]),
            ),
            integrality=np.concatenate([np.zeros(d), np.ones(n)]),
            options={"mip_rel_gap": 0.0, "time_limit": max(seconds, 1e-3)},
        )


@contextlib.contextmanager
def _silent():
    """Inside it the process writes nothing to stdout: HiGHS has a message that no option stops."""
    sys.stdout.flush()
    kept, nothing = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nothing)
