"""The three attackers of a mixture: the table's, the per-image one and the adaptive one."""

import dataclasses
from typing import Any

import numpy as np

from mmtf.mixtures.adaptive import adaptive_attack
from mmtf.mixtures.mixed_classifier import Mixture
from mmtf.mixtures.payoffs import PayoffTable
from mmtf.mixtures.per_image import per_image_errors
from mmtf.stats.intervals import wilson
from mmtf.threat import ThreatModel


@dataclasses.dataclass(frozen=True)
class Mean:
    """A mean of expected errors over images with Wilson's 95 % interval.

    Values in [0, 1] vary at most as much as zeros and ones of the same mean: the interval is wider
    than needed where they are fractions.

    Attributes:
      error: the mean.
      ci_low, ci_high: the interval.
    """

    error: float
    ci_low: float
    ci_high: float

    @classmethod
    def of(cls, values: np.ndarray) -> "Mean":
        """Of expected errors, float [N]."""
        # Probabilities add up to 1 only up to rounding.
        values = np.minimum(np.asarray(values, np.float64), 1.0)
        mean = float(values.mean())
        return cls(mean, *wilson(float(values.sum()), len(values)))


@dataclasses.dataclass(frozen=True)
class Attacked:
    """Expected errors of one mixture; table <= per_image <= either.

    Attributes:
      clean: without an attack.
      table: (1) under the one frozen attack that is strongest on average.
      strongest: the name of that attack.
      per_image: (2) under the strongest frozen attack of each image.
      adaptive: (3) under the adaptive attack; None: it was not run.
      either: under the stronger of (2) and (3) for each image; None: (3) was not run.
    """

    clean: Mean
    table: Mean
    strongest: str
    per_image: Mean
    adaptive: Mean | None = None
    either: Mean | None = None

    @property
    def exploitability(self) -> float | None:
        """(3) - (1): what the adaptive attacker gains over the table's; None: (3) was not run."""
        return None if self.adaptive is None else self.adaptive.error - self.table.error


def three_attackers(
    table: PayoffTable,
    p: dict[str, float],
    attacks: list[str],
    threat: ThreatModel | None = None,
    **options: Any,
) -> Attacked:
    """Measures a mixture of a table's defenses on the table's images.

    Args:
      table: with all defenses of p and all attacks.
      p: name of a defense -> its probability.
      attacks: names of the frozen attacks.
      threat: the ball and the box of the adaptive attack; None: it is not run.
      **options: steps, restarts and seed of `mmtf.mixtures.adaptive_attack`.
    """
    used = {name: weight for name, weight in p.items() if weight > 0}
    measured, weights = table.payoffs(list(used), attacks), np.array(list(used.values()))
    by_attack = np.tensordot(weights, measured.wrong.astype(np.float64), 1)  # [A, N]
    strongest = int(by_attack.mean(-1).argmax())
    each = per_image_errors(measured.wrong, weights)
    found = Attacked(
        clean=Mean.of(weights @ measured.clean),
        table=Mean.of(by_attack[strongest]),
        strongest=attacks[strongest],
        per_image=Mean.of(each),
    )
    if threat is None:
        return found
    mixture = Mixture({name: table.defenses[name] for name in used}, weights)
    own = adaptive_attack(mixture, threat, table.x, table.y, **options).errors
    return dataclasses.replace(found, adaptive=Mean.of(own), either=Mean.of(np.maximum(own, each)))
