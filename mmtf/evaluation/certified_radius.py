"""The certified radius of each example: the largest at which it is proved robust."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

# Shares of the examples whose radius is at most the quantile.
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclasses.dataclass(frozen=True, eq=False)
class CertifiedRadii:
    """How far each example is proved robust.

    Attributes:
      radius: float64 [N], a radius at which the example is certified; 0 where none was found,
        misclassified examples included.
      above: float64 [N], a radius at which it is not certified, at most `tolerance` larger; inf
        where it is certified at `limit`.
      limit: the largest radius that was tried.
      tolerance: of the bisection.
      norm: of the ball.
      seconds: time of the verifiers, without that of the radii that were known before.
    """

    radius: np.ndarray
    above: np.ndarray
    limit: float
    tolerance: float
    norm: str
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Quantiles and shares for a record, as plain JSON data.

        Example:
          >>> radii = np.array([0.0, 0.1, 0.2, 0.3, 0.4])
          >>> above = np.array([0.01, 0.11, 0.21, 0.31, np.inf])
          >>> found = CertifiedRadii(radii, above, 0.4, 0.01, "linf", 1.0).to_dict()
          >>> found["quantiles"]["0.5"], found["at_limit"], found["zero"]
          (0.2, 0.2, 0.2)
        """
        # A quantile is the radius of an example, so that it is proved as it is told.
        found = np.quantile(self.radius, QUANTILES, method="lower")
        return {
            "n": len(self.radius),
            "norm": self.norm,
            "limit": self.limit,
            "tolerance": self.tolerance,
            "quantiles": {f"{q:g}": float(at) for q, at in zip(QUANTILES, found, strict=True)},
            "mean": float(self.radius.mean()),
            "zero": float((self.radius == 0).mean()),
            "at_limit": float((self.radius == self.limit).mean()),
            "seconds": round(self.seconds, 2),
        }


def bisected(
    wrong: np.ndarray,
    certified: Mapping[float, np.ndarray],
    prove: Callable[[float, np.ndarray], np.ndarray],
    tolerance: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Bisects the certified radius of each example.

    With an exact verifier it finds the largest radius at which an example is robust; with any
    verifier, a radius at which it is proved robust.

    Args:
      wrong: bool [N], the examples that are misclassified without an attack: their radius is 0.
      certified: radius -> bool [N], what is known before; the search ends at the largest of these.
      prove: (radius, numbers of examples) -> bool, which are certified. Called with all examples
        of one middle together.
      tolerance: of the radius, > 0.

    Returns:
      (radius, above), see `CertifiedRadii`.

    Example:
      >>> true = np.array([0.05, 0.3, 0.9])
      >>> low, above = bisected(true < 0, {1.0: true >= 1.0}, lambda r, i: true[i] >= r, 0.01)
      >>> bool(((low <= true) & (true < above) & (above - low <= 0.01)).all())
      True
    """
    low, above = np.zeros(len(wrong)), np.full(len(wrong), np.inf)
    for radius in sorted(certified):
        low[certified[radius] & ~wrong] = radius
    for radius in sorted(certified, reverse=True):
        above[~certified[radius] & (radius > low) & ~wrong] = radius
    above[wrong] = 0.0
    while (going := above - low > tolerance).any():
        going &= np.isfinite(above)
        middles = (low + above) / 2
        going &= (low < middles) & (middles < above)  # none is between neighbors in float64
        if not going.any():
            break
        for middle in np.unique(middles[going]):
            rows = np.flatnonzero(going & (middles == middle))
            proved = prove(float(middle), rows)
            low[rows[proved]], above[rows[~proved]] = middle, middle
    return low, above
