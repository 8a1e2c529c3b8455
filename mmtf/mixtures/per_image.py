"""The attacker who knows the mixture and chooses, for each image, one of the frozen attacks."""

from typing import Any

import numpy as np
import scipy.optimize
import scipy.sparse

from mmtf.errors import require
from mmtf.mixtures.matrix_game import Solution, certified, probabilities, require_solved

# An image's errors under one attack are the bits of one integer.
MOST_DEFENSES = 62


def per_image_errors(wrong: Any, p: Any) -> np.ndarray:
    """max_a sum_d p_d e[d, a, i]: the expected error of each image under its strongest attack.

    Args:
      wrong: e, bool [D, A, N], whether defense d misclassifies image i under attack a.
      p: float [D], probabilities of the defenses.

    Returns:
      float64 [N].

    Example:
      >>> per_image_errors([[[True, False]], [[True, True]]], [0.25, 0.75]).tolist()
      [1.0, 0.75]
    """
    return np.tensordot(np.asarray(p, np.float64), _outcomes(wrong), 1).max(0)


def solve_per_image(wrong: Any) -> Solution:
    """Solves min_p (1/N) sum_i max_a sum_d p_d e[d, a, i] by one linear program.

    It is min (1/N) sum_i t_i subject to t_i >= sum_d p_d e[d, a, i] for every attack and image.
    Images with the same errors share a variable t.

    Args:
      wrong: e, bool [D, A, N], D <= 62.

    Returns:
      The solution, without q: the attacker's strategy is one for each image.

    Raises:
      ConfigError: `wrong` has another shape.
      RunError: see `mmtf.mixtures.solve`.

    Example: no mixture helps against an attacker who finds each net's own attack.
      >>> e = np.array([[[True], [False]], [[False], [True]]])
      >>> solve_per_image(e).value
      0.5
    """
    wrong = _outcomes(wrong)
    defenses, _, images = wrong.shape
    require(defenses <= MOST_DEFENSES, f"at most {MOST_DEFENSES} defenses", defenses)
    bits = 1 << np.arange(defenses, dtype=np.int64)
    codes = np.sort(np.tensordot(bits, wrong.astype(np.int64), 1), 0)
    kinds, counts = np.unique(codes, axis=1, return_counts=True)
    first = np.ones(kinds.shape, bool)
    first[1:] = kinds[1:] != kinds[:-1]
    place, kind = np.nonzero(first)
    errors = (kinds[place, kind][:, None] & bits > 0).astype(np.float64)  # [constraints, D]
    count = len(kind)
    minus = scipy.sparse.csr_array((-np.ones(count), (np.arange(count), kind)))
    share = counts / images
    program = scipy.optimize.linprog(
        np.concatenate([np.zeros(defenses), share]),
        A_ub=scipy.sparse.hstack([scipy.sparse.csr_array(errors), minus]),
        b_ub=np.zeros(count),
        A_eq=np.concatenate([np.ones(defenses), np.zeros(len(share))])[None],
        b_eq=[1.0],
        bounds=[(0, None)] * defenses + [(None, None)] * len(share),
        method="highs",
    )
    require_solved(program)
    p = probabilities(program.x[:defenses])
    value = float(per_image_errors(wrong, p).mean())
    # The attacker's mixture over attacks for each kind of image, of total weight `share`.
    mix = np.maximum(-program.ineqlin.marginals, 0.0)
    total = np.bincount(kind, mix, len(share))
    mix *= (share / np.where(total > 0, total, 1.0))[kind]
    return certified(Solution(value, p, value - float((mix @ errors).min())), 1.0)


def _outcomes(wrong: Any) -> np.ndarray:
    wrong = np.asarray(wrong, bool)
    good = wrong.ndim == 3 and wrong.size > 0
    require(good, "errors as a bool array [defenses, attacks, images]", f"shape {wrong.shape}")
    return wrong
