"""Wilson's interval of an error rate, and the correlation of two classifiers' errors."""

import math
from typing import Any

import numpy as np

from mmtf.errors import require

Z_95 = 1.959963984540054


def wilson(count: float, n: int, z: float = Z_95) -> tuple[float, float]:
    """Wilson's score interval for `count` errors among `n` independent examples.

    Args:
      count: number of errors, 0 <= count <= n; as a mean over classifiers it may be fractional.
      n: number of examples, > 0.
      z: quantile of the normal distribution; the default gives a 95 % interval.

    Returns:
      (low, high), both in [0, 1].

    Raises:
      ConfigError: n or count out of range.

    Source: Wilson (1927).

    Example:
      >>> [round(bound, 4) for bound in wilson(0, 10)]
      [0.0, 0.2775]
    """
    require(n > 0 and 0 <= count <= n, "0 <= count <= n and n > 0", (count, n))
    p = count / n
    center = p + z * z / (2 * n)
    spread = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    # For 0 and n errors one end is exactly 0 or 1, which rounding would miss.
    low = 0.0 if count == 0 else (center - spread) / scale
    high = 1.0 if count == n else (center + spread) / scale
    return low, high


def paired_correlation(a: Any, b: Any) -> float:
    """Newcombe's phi, the correlation of two classifiers' errors on the same examples.

    phi = (n11 n00 - n10 n01) / sqrt(n1. n0. n.1 n.0), where n11 counts the examples that both
    misclassify, n10 those that only the first does, and so on, and n1. = n11 + n10 and so on are
    the margins. A positive numerator is replaced by max(numerator - n / 2, 0) (continuity
    correction). If a margin is 0, phi is 0.

    Args:
      a, b: bool [N], which examples each classifier gets wrong.

    Returns:
      phi in [-1, 1].

    Raises:
      ConfigError: the arrays do not have the same shape [N].

    Source: Newcombe (1998), "Improved confidence intervals for the difference between binomial
    proportions based on paired data", method 10.

    Example:
      >>> round(paired_correlation([True] * 4 + [False] * 4, [True] * 4 + [False] * 4), 2)
      0.75
    """
    a, b = np.asarray(a, bool), np.asarray(b, bool)
    require(a.shape == b.shape and a.ndim == 1, "two arrays [N] of one length", (a.shape, b.shape))
    n, of_a, of_b = a.size, int(a.sum()), int(b.sum())
    both = int((a & b).sum())
    neither = n - of_a - of_b + both
    product = both * neither - (of_a - both) * (of_b - both)
    if product > 0:
        product = max(product - n / 2, 0.0)
    margins = of_a * (n - of_a) * of_b * (n - of_b)
    return product / math.sqrt(margins) if margins else 0.0
