"""Confidence intervals of an error rate."""

import math

from mmtf.config import require

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
    centre = p + z * z / (2 * n)
    spread = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    # At the ends the exact bounds are 0 and 1; rounding must not leave [0, 1].
    low = 0.0 if count == 0 else (centre - spread) / scale
    high = 1.0 if count == n else (centre + spread) / scale
    return low, high
