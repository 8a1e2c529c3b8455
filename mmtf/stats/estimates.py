"""What records say of an error: mean and interval over seeds or examples; differences, verdicts."""

import dataclasses
import math
import statistics

import numpy as np

from mmtf.stats.intervals import Z_95, paired_correlation, wilson
from mmtf.stats.packed_bits import unpack_bits

HOLDS, FAILS, UNDECIDED, MISSING = "holds", "does not hold", "undecided", "not measured"
PARTLY = "measured in part"


@dataclasses.dataclass(frozen=True)
class Estimate:
    """Attributes:
    mean: over seeds.
    low, high: 95% interval: over examples (Wilson's); of several seeds, which share their
      examples, also over seeds (Student's t), the two half-widths added in squares.
    n: test examples.
    seeds: how many.
    wrong: bool [seeds, n], which examples, where all records have them.
    deviation: standard error of the mean over seeds; 0 of one.
    """

    mean: float
    low: float
    high: float
    n: int
    seeds: int
    wrong: np.ndarray | None = dataclasses.field(default=None, compare=False, repr=False)
    deviation: float = 0.0

    def interval(self, checks: int = 1) -> tuple[float, float]:
        """(low, high), wide enough for `checks` of them to be right together in 95 % (Bonferroni).

        The mean twice, of a figure without an interval.
        """
        if checks == 1 or not self.n:
            return self.low, self.high
        least, most = wilson(self.mean * self.n, self.n, _z(checks))
        half = _half_width(self.deviation, self.seeds, checks)
        low, high = math.hypot(half, self.mean - least), math.hypot(half, most - self.mean)
        return max(0.0, self.mean - low), min(1.0, self.mean + high)

    def __str__(self):
        over = f"n={self.n:,}" + (f", {self.seeds} seeds" if self.seeds > 1 else "")
        digits = 4 if self.n >= 10_000 else 3
        low_high = f"[{self.low:.{digits}f}, {self.high:.{digits}f}]"
        return f"{self.mean:.{digits}f} {low_high} {over}"


def estimate(records: list[dict]) -> Estimate | None:
    """Of one cell from its records, one a seed; None without any.

    Example:
      >>> one = {"error": 0.1, "ci_low": 0.08, "ci_high": 0.12, "n": 1000}
      >>> str(estimate([one]))
      '0.100 [0.080, 0.120] n=1,000'
    """
    if not records:
        return None
    n, wrong = min(record["n"] for record in records), None
    if all("wrong" in record for record in records):
        wrong = np.stack([unpack_bits(record["wrong"], n) for record in records])
    if len(records) == 1:
        one = records[0]
        return Estimate(one["error"], one["ci_low"], one["ci_high"], n, 1, wrong)
    errors = np.array([record["error"] for record in records])
    mean, deviation = float(errors.mean()), _standard_error(errors)
    half = _half_width(deviation, len(errors))
    least, most = wilson(mean * n, n)
    low, high = mean - math.hypot(half, mean - least), mean + math.hypot(half, most - mean)
    return Estimate(mean, max(0.0, low), min(1.0, high), n, len(errors), wrong, deviation)


def exact(value: float) -> Estimate:
    """A figure without an interval, as the paper prints them."""
    return Estimate(value, value, value, 0, 1)


def largest(estimates: list[Estimate | None]) -> Estimate | None:
    """The paper's `worst`: the one with the largest mean; None where any is missing."""
    if not estimates or None in estimates:
        return None
    return max(estimates, key=lambda one: one.mean)


def difference(a: Estimate, b: Estimate, checks: int = 1) -> tuple[float, float, float]:
    """a - b and its 95% interval from the two intervals (Newcombe 1998, method 10).

    Of several `checks`: at the level at which all of them are right together in 95 % (Bonferroni).

    Where both say which of the same examples are wrong, the paired one; else as if independent,
    which for the same test examples is wider than need be. Of several seeds in pairs: that of the
    means with the mean correlation, and Student's t of the seeds' differences, the half-widths
    added in squares.
    """
    gap, phi, half = a.mean - b.mean, 0.0, 0.0
    ends = [one.interval(checks) for one in (a, b)]
    if a.wrong is not None and b.wrong is not None and a.wrong.shape == b.wrong.shape:
        pairs = list(zip(a.wrong, b.wrong, strict=True))
        phi = float(np.mean([paired_correlation(*pair) for pair in pairs]))
        if len(pairs) > 1:
            gaps = np.array([one.mean() - other.mean() for one, other in pairs])
            half = _half_width(_standard_error(gaps), len(gaps), checks)
            ends = [wilson(one.mean * one.n, one.n, _z(checks)) for one in (a, b)]
    (a_low, a_high), (b_low, b_high) = ends
    low = math.hypot(half, _third_side(a.mean - a_low, b_high - b.mean, phi))
    high = math.hypot(half, _third_side(a_high - a.mean, b.mean - b_low, phi))
    return gap, gap - low, gap + high


def within(interval: tuple[float, float, float], low: float, high: float) -> str:
    """Whether a quantity with this (mean, low, high) lies in [low, high], as far as it shows.

    Example:
      >>> within((0.1, 0.05, 0.15), 0.0, math.inf), within((0.1, -0.05, 0.25), 0.0, math.inf)
      ('holds', 'undecided')
    """
    _, least, most = interval
    if low <= least and most <= high:
        return HOLDS
    return FAILS if most < low or least > high else UNDECIDED


def smaller(a: Estimate | None, b: Estimate | None, checks: int = 1) -> str:
    """Whether a < b: decided where the interval of the difference does not contain 0."""
    if a is None or b is None:
        return MISSING
    gap, low, high = difference(b, a, checks)
    if low <= 0 <= high:
        return UNDECIDED
    return HOLDS if gap > 0 else FAILS


def together(verdicts: list[str]) -> str:
    """Of a claim from its parts: it fails with any, holds with all.

    Example:
      >>> together(["holds", "undecided"]), together(["holds", "does not hold"])
      ('undecided', 'does not hold')
      >>> together(["holds", "not measured"])
      'measured in part'
    """
    if all(one == MISSING for one in verdicts):
        return MISSING
    if FAILS in verdicts:
        return FAILS
    if MISSING in verdicts or PARTLY in verdicts:
        return PARTLY
    return HOLDS if all(one == HOLDS for one in verdicts) else UNDECIDED


def worst_example(records: list[dict]) -> dict | None:
    """The per-example worst case over attacks on the same classifier, as a record's figures.

    Args:
      records: one an attack; over the first examples, which all of them have.

    Returns:
      error, ci_low, ci_high and n; None where a record does not say which examples were wrong.
    """
    if not records or not all("wrong" in record for record in records):
        return None
    n = min(record["n"] for record in records)
    wrong = [unpack_bits(record["wrong"], record["n"])[:n] for record in records]
    error = float(np.logical_or.reduce(wrong).mean())
    low, high = wilson(error * n, n)
    return {"error": error, "ci_low": low, "ci_high": high, "n": n}


def _third_side(a, b, cosine):
    """Of a triangle by its law of cosines; rounding must not make the square negative."""
    return math.sqrt(max(0.0, a * a + b * b - 2 * cosine * a * b))


def _standard_error(values):
    return float(values.std(ddof=1)) / math.sqrt(len(values))


def _z(checks):
    """The normal quantile of an interval's upper end; exactly Z_95 of one check."""
    return Z_95 if checks == 1 else statistics.NormalDist().inv_cdf(1 - 0.025 / checks)


def _half_width(deviation, seeds, checks=1):
    """Of the mean over seeds, by Student's t."""
    if seeds == 1:
        return 0.0
    from scipy.special import stdtrit

    return deviation * float(stdtrit(seeds - 1, 1 - 0.025 / checks))
