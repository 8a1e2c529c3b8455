"""Error rates from records: mean, 95 % interval, differences, and verdicts on claims about them."""

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
    """An error rate in [0, 1] with its 95 % interval.

    Attributes:
      mean: mean error over the seeds.
      low, high: 95 % interval. With one seed, Wilson's interval over the examples. With several
        seeds, which are measured on the same examples, each half-width is the square root of the
        sum of two squares: Wilson's half-width over the examples, and Student's t over the seeds.
      n: number of test examples; 0 for an exact value.
      seeds: number of seeds.
      wrong: bool [seeds, n], which examples are misclassified; None if a record does not say.
      deviation: standard error of the mean over the seeds; 0 with one seed.
    """

    mean: float
    low: float
    high: float
    n: int
    seeds: int
    wrong: np.ndarray | None = dataclasses.field(default=None, compare=False, repr=False)
    deviation: float = 0.0

    def interval(self, checks: int = 1) -> tuple[float, float]:
        """(low, high) at the confidence level 1 - 0.05 / checks (Bonferroni).

        `checks` intervals at this level all contain their true values with 95 % confidence. For an
        exact value both ends are the mean.

        Args:
          checks: number of intervals that are used together, >= 1.
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
    """The estimate of one error rate from its records; None if there are none.

    Args:
      records: one for each seed, with the keys error, ci_low, ci_high, n and, optionally, wrong
        (bool [n] as text, see `mmtf.stats.packed_bits`).

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
    """The estimate of an error that is known without an interval, as those in the paper are."""
    return Estimate(value, value, value, 0, 1)


def largest(estimates: list[Estimate | None]) -> Estimate | None:
    """The estimate with the largest mean, which is `worst` in the paper's tables.

    None if the list is empty or an estimate is missing.
    """
    measured = [one for one in estimates if one is not None]
    if not measured or len(measured) < len(estimates):
        return None
    return max(measured, key=lambda one: one.mean)


def difference(a: Estimate, b: Estimate, checks: int = 1) -> tuple[float, float, float]:
    """a - b with its 95 % interval, from the intervals of both (Newcombe 1998, method 10).

    If both have `wrong` of equal shape, the interval takes into account the correlation of their
    errors on the same examples, averaged over the seeds. Else the errors are treated as
    independent, which makes the interval wider than necessary. With several seeds, each half-width
    is the square root of the sum of two squares: the half-width over the examples, and Student's t
    of the differences between the seeds.

    Args:
      a, b: the two estimates.
      checks: number of comparisons made together; the level is 1 - 0.05 / checks (Bonferroni).

    Returns:
      (a - b, low, high).
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
    """Whether a quantity lies in [low, high], judged by its interval.

    Args:
      interval: (mean, lower end, upper end) of the quantity.
      low, high: the claimed range.

    Returns:
      HOLDS if the interval lies in the range, FAILS if the two are disjoint, else UNDECIDED.

    Example:
      >>> within((0.1, 0.05, 0.15), 0.0, math.inf), within((0.1, -0.05, 0.25), 0.0, math.inf)
      ('holds', 'undecided')
    """
    _, least, most = interval
    if low <= least and most <= high:
        return HOLDS
    return FAILS if most < low or least > high else UNDECIDED


def smaller(a: Estimate | None, b: Estimate | None, checks: int = 1) -> str:
    """Whether a < b, judged by the interval of the difference.

    Args:
      a, b: the two estimates; None if not measured.
      checks: number of comparisons made together, see `difference`.

    Returns:
      HOLDS or FAILS if the interval does not contain 0, else UNDECIDED; MISSING if one is None.
    """
    if a is None or b is None:
        return MISSING
    gap, low, high = difference(b, a, checks)
    if low <= 0 <= high:
        return UNDECIDED
    return HOLDS if gap > 0 else FAILS


def together(verdicts: list[str]) -> str:
    """The verdict on a claim, given those on its parts.

    It is FAILS if any part fails, HOLDS if all hold, MISSING if none is measured, PARTLY if some
    are not, else UNDECIDED.

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
    """The error in the per-example worst case over several attacks on one classifier.

    An example counts as wrong if it is misclassified under any of the attacks.

    Args:
      records: one for each attack, see `estimate`. The first n examples are used, with the
        smallest n of the records.

    Returns:
      A dict with error, ci_low, ci_high (Wilson's 95 % interval) and n; None if a record does not
      say which examples were wrong.
    """
    if not records or not all("wrong" in record for record in records):
        return None
    n = min(record["n"] for record in records)
    wrong = [unpack_bits(record["wrong"], record["n"])[:n] for record in records]
    error = float(np.logical_or.reduce(wrong).mean())
    low, high = wilson(error * n, n)
    return {"error": error, "ci_low": low, "ci_high": high, "n": n}


def _third_side(a, b, cosine):
    """Third side of a triangle by the law of cosines; max() guards against rounding below 0."""
    return math.sqrt(max(0.0, a * a + b * b - 2 * cosine * a * b))


def _standard_error(values):
    return float(values.std(ddof=1)) / math.sqrt(len(values))


def _z(checks):
    """Normal quantile at 1 - 0.025 / checks; for one check the constant Z_95."""
    return Z_95 if checks == 1 else statistics.NormalDist().inv_cdf(1 - 0.025 / checks)


def _half_width(deviation, seeds, checks=1):
    """Half-width of the interval of a mean over seeds, by Student's t; 0 with one seed."""
    if seeds == 1:
        return 0.0
    from scipy.special import stdtrit

    return deviation * float(stdtrit(seeds - 1, 1 - 0.025 / checks))
