"""Confidence intervals of error rates."""

import math
from typing import Any

import numpy as np

from mmtf.errors import require

Z_95 = 1.959963984540054


def wilson(count: float, n: int, z: float = Z_95) -> tuple[float, float]:
    """Wilson's score interval for `count` errors among `n` independent examples.

    Args:
      count: 0 <= count <= n; a mean over several classifiers need not be whole.
      n: > 0.
      z: normal quantile; the default gives 95 %.

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
    # At the ends the exact bounds are 0 and 1; rounding must not leave [0, 1].
    low = 0.0 if count == 0 else (center - spread) / scale
    high = 1.0 if count == n else (center + spread) / scale
    return low, high


def paired_correlation(a: Any, b: Any) -> float:
    """Newcombe's phi: how the errors of two classifiers on the same examples go together.

    phi = (n11 n00 - n10 n01) / sqrt(product of the four margins), n11 examples wrong for both; a
    positive numerator is made smaller by n / 2, to 0 at the least. 0 where a margin is empty.

    Args:
      a, b: bool [N], which examples are wrong.

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
