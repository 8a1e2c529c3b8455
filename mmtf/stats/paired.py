"""Paired tests between defenses, measured on the same examples under the same attack."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats

from mmtf.errors import require


def mcnemar(a: Any, b: Any) -> float:
    """Two-sided exact p-value of McNemar's test that two classifiers have the same error rate.

    Args:
      a, b: bool [N], which of the same examples each classifier gets wrong.

    Raises:
      ConfigError: the arrays do not have the same shape [N].

    Source: McNemar (1947), exact binomial form.

    Example (one example is wrong for the first classifier only, eight for the second only):
      >>> round(mcnemar([1, 0, 0, 0, 0, 0, 0, 0, 0], [0, 1, 1, 1, 1, 1, 1, 1, 1]), 4)
      0.0391
    """
    a, b = np.asarray(a, bool), np.asarray(b, bool)
    require(a.shape == b.shape and a.ndim == 1, "two arrays [N] of one length", (a.shape, b.shape))
    first, second = int((a & ~b).sum()), int((b & ~a).sum())
    if first + second == 0:
        return 1.0
    return float(stats.binomtest(first, first + second).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment of p-values for several tests made together.

    Rejecting the tests whose adjusted p-value is at most alpha keeps the probability of any false
    rejection at most alpha.

    Args:
      p_values: of the tests, in any order.

    Returns:
      The adjusted p-values, in the same order.

    Source: Holm (1979).

    Example:
      >>> holm([0.01, 0.04, 0.03])
      [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, np.float64)
    order = np.argsort(p, kind="stable")
    adjusted = np.maximum.accumulate((len(p) - np.arange(len(p))) * p[order])
    result = np.empty(len(p))
    result[order] = np.minimum(adjusted, 1.0)
    return result.tolist()


def comparisons(wrong: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """Tests all pairs of defenses under one attack.

    Args:
      wrong: name of a defense -> bool [N], which of the same examples it gets wrong.

    Returns:
      For each pair a dict with the names a and b, error_a, error_b, the p-value p (`mcnemar`), and
      p_holm, adjusted for the number of pairs (`holm`).
    """
    names = list(wrong)
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    p_values = [mcnemar(wrong[a], wrong[b]) for a, b in pairs]
    return [
        {
            "a": a,
            "b": b,
            "error_a": float(np.mean(wrong[a])),
            "error_b": float(np.mean(wrong[b])),
            "p": p,
            "p_holm": adjusted,
        }
        for (a, b), p, adjusted in zip(pairs, p_values, holm(p_values), strict=True)
    ]
