"""From counts of predicted classes to certified radii and to predictions, in NumPy and SciPy."""

import dataclasses
from typing import Any

import numpy as np
from scipy import stats

from mmtf.errors import require, require_int, require_number

# In place of a class where a procedure abstains.
ABSTAIN = -1


@dataclasses.dataclass(frozen=True, eq=False)
class Certified:
    """What certification says about each of N images.

    Attributes:
      label: int64 [N], the class of the smoothed classifier, ABSTAIN where it is not certain.
      radius: float64 [N], l2 radius on the scale of sigma within which the smoothed classifier's
        class is `label`; 0 where it abstains.
      lower: float64 [N], lower confidence bound of the probability of the selected class.
    """

    label: np.ndarray
    radius: np.ndarray
    lower: np.ndarray

    def correct(self, labels: Any, radius: float = 0.0) -> np.ndarray:
        """bool [N]: certified for the true class with at least this radius; never an abstention."""
        good = (self.label == np.asarray(labels)) & (self.label != ABSTAIN)
        return good & (self.radius >= radius)


def lower_bound(hits: Any, n: Any, alpha: float = 0.001) -> np.ndarray:
    """One-sided lower confidence bound of a probability (Clopper & Pearson 1934), float64 [N].

    It is the quantile at alpha of Beta(hits, n - hits + 1), 0 for no hits, and exceeds the true
    probability of a hit in at most a share alpha of repetitions.

    Args:
      hits: int [N], number of hits among n independent draws.
      n: int, or int [N].
      alpha: in (0, 1).

    Example:
      >>> [round(float(one), 6) for one in lower_bound([0, 99_000, 100_000], 100_000)]
      [0.0, 0.988989, 0.999931]
    """
    require_number("alpha", alpha, above=0, below=1)
    hits, n = np.asarray(hits, np.int64), np.asarray(n, np.int64)
    require(bool(np.all((hits >= 0) & (hits <= n))), "0 <= hits <= n", (hits, n))
    bound = stats.beta.ppf(alpha, np.maximum(hits, 1), n - hits + 1)
    return np.where(hits > 0, bound, 0.0)


def largest_radius(sigma: float, n: int, alpha: float = 0.001) -> float:
    """The radius if all n draws agree, sigma Phi^-1(alpha^(1/n)): no image can have a larger one.

    Example:
      >>> [round(largest_radius(1.0, n), 4) for n in (1000, 10_000, 100_000)]
      [2.4633, 3.1986, 3.8115]
    """
    # With so few draws that all abstain, ppf is negative.
    return max(0.0, float(sigma * stats.norm.ppf(lower_bound(n, n, alpha))))


def certified_of(
    selection: np.ndarray, estimation: np.ndarray, sigma: float, alpha: float = 0.001
) -> Certified:
    """Certifies the most frequent class of `selection` by its share of `estimation`.

    With p the lower bound of the class' probability under the noise, the smoothed classifier has
    this class within the l2 radius sigma Phi^-1(p), with probability at least 1 - alpha for each
    image; for p <= 1/2 it abstains (Cohen et al. 2019, algorithm Certify).

    Args:
      selection: int [N, C], counts of n0 draws, which choose the class.
      estimation: int [N, C], counts of n other draws: the bound does not hold for those that chose
        the class.
      sigma: standard deviation of the noise, > 0; the radii are on its scale.
      alpha: in (0, 1).
    """
    require_number("sigma", sigma, above=0)
    selection, estimation = np.asarray(selection), np.asarray(estimation)
    same = selection.shape == estimation.shape and selection.ndim == 2
    require(same, "two arrays [N, C] of one shape", (selection.shape, estimation.shape))
    top = selection.argmax(1)
    hits = np.take_along_axis(estimation, top[:, None], 1)[:, 0]
    lower = lower_bound(hits, estimation.sum(1), alpha)
    sure = lower > 0.5
    radius = np.where(sure, sigma * stats.norm.ppf(np.where(sure, lower, 0.5)), 0.0)
    return Certified(np.where(sure, top, ABSTAIN), radius, lower)


def voted(counts: np.ndarray, alpha: float = 0.001) -> np.ndarray:
    """The most frequent class of each image, ABSTAIN where the second might be as probable.

    It abstains if the two-sided binomial test of n_A among n_A + n_B draws, the counts of the two
    most frequent classes, has a p-value above alpha. What it returns is the class of the smoothed
    classifier with probability at least 1 - alpha (Cohen et al. 2019, algorithm Predict).

    Args:
      counts: int [N, C], C > 1.
      alpha: in (0, 1).

    Returns:
      int64 [N].

    Example:
      >>> voted(np.array([[90, 10], [55, 45]])).tolist()
      [0, -1]
    """
    counts = np.asarray(counts)
    require(counts.ndim == 2 and counts.shape[1] > 1, "counts [N, C], C > 1", counts.shape)
    two = np.sort(counts, 1)[:, -2:].sum(1)
    table = least_votes(int(two.max(initial=0)), alpha)
    return np.where(counts.max(1) >= table[two], counts.argmax(1), ABSTAIN)


def least_votes(n: int, alpha: float = 0.001) -> np.ndarray:
    """int64 [n + 1]: for each number of draws t, the least n_A that the test of `voted` accepts.

    The two-sided p-value of n_A >= t / 2 is 2 P(X >= n_A), X ~ Binomial(t, 1/2). Where no n_A is
    accepted, the entry is t + 1.

    Example:
      >>> least_votes(12).tolist()[-3:]
      [11, 11, 12]
    """
    require_int("n", n, at_least=0)
    require_number("alpha", alpha, above=0, below=1)
    draws = np.arange(n + 1)
    least = stats.binom.isf(alpha / 2, draws, 0.5).astype(np.int64) + 1
    return np.minimum(np.maximum(least, 1), draws + 1)
