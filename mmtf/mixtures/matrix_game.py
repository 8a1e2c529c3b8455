"""Matrix games between a defender, who mixes rows, and an attacker, who mixes columns."""

import dataclasses
from typing import Any

import numpy as np
import scipy.optimize

from mmtf.errors import RunError, require, require_number

# Largest difference, relative to the range of the payoffs, between what the two strategies
# guarantee.
TOLERANCE = 1e-9


@dataclasses.dataclass(frozen=True, eq=False)
class Solution:
    """Optimal mixed strategies of a game.

    Attributes:
      value: what p guarantees the defender: its largest expected loss over all attacks.
      p: float64 [D], the defender's probabilities.
      certificate: `value` minus what the attacker's strategy guarantees, a bound >= 0 (up to
        rounding) of the distance of `value` from the game's.
      q: float64 [A], the attacker's probabilities; None where the attacker does not choose one
        column for all images.
    """

    value: float
    p: np.ndarray
    certificate: float
    q: np.ndarray | None = None


def solve(payoffs: Any) -> Solution:
    """Solves min_p max_q p' E q over probabilities p of the rows and q of the columns.

    The defender's linear program is min t subject to E' p <= t, 1' p = 1, p >= 0 with t free; the
    attacker's mixture is minus the multipliers of its inequalities.

    Args:
      payoffs: E, float [D, A], the defender's loss under each attack, of any sign.

    Raises:
      ConfigError: E is not a matrix of finite numbers.
      RunError: the solver did not reach a certificate of 1e-9 times the range of E.

    Example:
      >>> found = solve([[0.2, 0.8], [0.6, 0.1]])
      >>> round(found.value, 4), found.p.round(4).tolist(), found.q.round(4).tolist()
      (0.4182, [0.4545, 0.5455], [0.6364, 0.3636])
    """
    matrix = _matrix(payoffs)
    return solve_bayesian(matrix, np.zeros(len(matrix)), 1.0)


def solve_bayesian(payoffs: Any, clean: Any, alpha: float) -> Solution:
    """Solves min_p (1 - alpha) c' p + alpha max_a (p' E)_a, as in moving target defense.

    A user is an attacker with probability alpha, and else shows clean images, on which row d has
    the loss c_d. alpha = 1 is the zero-sum game, alpha = 0 the row of the lowest clean error.

    Args:
      payoffs: E, float [D, A].
      clean: c, float [D].
      alpha: in [0, 1].

    Returns:
      The solution, whose q is the attacker's mixture.

    Raises:
      ConfigError, RunError: see `solve`.

    Source: Sengupta, Chakraborti & Kambhampati (2018), MTDeep.

    Example:
      >>> E = [[0.97, 0.1, 0.3], [0.2, 0.95, 0.25], [0.3, 0.2, 0.9]]
      >>> [round(solve_bayesian(E, [0.01, 0.03, 0.02], alpha).value, 4) for alpha in (0.01, 0.1, 1)]
      [0.0196, 0.0652, 0.4636]
    """
    matrix, clean = _matrix(payoffs), np.asarray(clean, np.float64)
    rows, columns = matrix.shape
    require_number("alpha", alpha, at_least=0, at_most=1)
    good = clean.shape == (rows,) and bool(np.isfinite(clean).all())
    require(good, f"a finite clean error for each of {rows} rows", f"shape {clean.shape}")
    low = matrix.min()
    # In [0, 1], where the solver's absolute tolerances are meant to be used.
    span = (matrix.max() - low) or 1.0
    costs = np.append((1 - alpha) * (clean - clean.min()), alpha * span)
    program = scipy.optimize.linprog(
        costs / (costs.max() or 1.0),
        A_ub=np.hstack([(matrix.T - low) / span, -np.ones((columns, 1))]),
        b_ub=np.zeros(columns),
        A_eq=[[1.0] * rows + [0.0]],
        b_eq=[1.0],
        bounds=[(0, None)] * rows + [(None, None)],
        method="highs",
    )
    require_solved(program)
    p = probabilities(program.x[:rows])
    q = probabilities(-program.ineqlin.marginals)
    value = float((1 - alpha) * clean @ p + alpha * (p @ matrix).max())
    least = float(((1 - alpha) * clean + alpha * matrix @ q).min())
    scale = max(span, float(np.ptp(clean)))
    return certified(Solution(value, p, value - least, q), scale)


def probabilities(values: np.ndarray) -> np.ndarray:
    """Non-negative values divided by their sum; equal probabilities where the sum is 0."""
    values = np.maximum(values, 0.0)
    total = values.sum()
    return values / total if total > 0 else np.full(len(values), 1.0 / len(values))


def require_solved(program: Any) -> None:
    """Raises RunError unless scipy's solver found an optimum."""
    if not program.success:
        raise RunError(f"Expected an optimum of the linear program. Received: {program.message}")


def certified(found: Solution, scale: float) -> Solution:
    """Returns the solution; raises RunError if its certificate exceeds TOLERANCE times `scale`."""
    if found.certificate > TOLERANCE * scale:
        raise RunError(
            f"Expected a certificate of at most {TOLERANCE * scale:g}. Received: "
            f"{found.certificate:g} from the linear program."
        )
    return found


def _matrix(payoffs: Any) -> np.ndarray:
    matrix = np.asarray(payoffs, np.float64)
    good = matrix.ndim == 2 and matrix.size > 0 and bool(np.isfinite(matrix).all())
    require(good, "payoffs as a matrix of finite numbers", f"shape {matrix.shape}")
    return matrix
