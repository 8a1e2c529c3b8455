"""Intervals against SciPy, published figures and by hand."""

import math

import numpy as np
import pytest
import scipy.stats

from mmtf.errors import ConfigError
from mmtf.stats.intervals import paired_correlation, wilson


@pytest.mark.parametrize(
    "count, n", [(0, 1), (1, 1), (0, 360), (1, 2), (17, 360), (360, 360), (983, 10_000), (1, 10**7)]
)
@pytest.mark.parametrize("confidence", [0.95, 0.99])
def test_scipy_agrees(count, n, confidence):
    z = scipy.stats.norm.ppf(0.5 + confidence / 2)
    expected = scipy.stats.binomtest(count, n).proportion_ci(confidence, method="wilson")
    # float64 throughout; center - spread cancels where count is small.
    assert wilson(count, n, z) == pytest.approx((expected.low, expected.high), rel=1e-9, abs=1e-15)


@pytest.mark.parametrize(
    "count, n, low, high",
    # Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_published_values(count, n, low, high):
    assert wilson(count, n) == pytest.approx((low, high), abs=5e-5)


def test_the_ends_are_exact_and_the_interval_holds_the_rate():
    for n in (1, 7, 1000):
        assert wilson(0, n)[0] == 0.0 and wilson(n, n)[1] == 1.0
        for count in range(n + 1):
            low, high = wilson(count, n)
            assert 0 <= low <= count / n <= high <= 1
            assert low < high


@pytest.mark.parametrize("count, n", [(0, 0), (-1, 5), (6, 5)])
def test_impossible_counts_are_refused(count, n):
    with pytest.raises(ConfigError, match="0 <= count <= n"):
        wilson(count, n)


def test_the_paired_correlation_by_hand():
    a = np.repeat([True, True, False, False], (36, 12, 2, 0))
    b = np.repeat([True, False, True, False], (36, 12, 2, 0))
    # (36 * 0 - 12 * 2) / sqrt(48 * 2 * 38 * 12); a negative one is not corrected.
    assert paired_correlation(a, b) == pytest.approx(-24 / math.sqrt(48 * 2 * 38 * 12))
    assert paired_correlation(a, a) == pytest.approx((48 * 2 - 25) / (48 * 2))
    assert paired_correlation(a, np.zeros(50)) == 0.0
    with pytest.raises(ConfigError, match="one length"):
        paired_correlation(a, b[1:])
