"""Paired tests against other implementations and by hand."""

import numpy as np
import pytest
from scipy import stats

from mmtf.errors import ConfigError
from mmtf.stats.paired import comparisons, holm, mcnemar


@pytest.mark.parametrize("first, second", [(0, 0), (0, 3), (5, 5), (2, 11), (30, 12)])
def test_mcnemar_is_the_binomial_tail(first, second):
    a = np.r_[np.ones(first), np.zeros(second), np.ones(7), np.zeros(9)]
    b = np.r_[np.zeros(first), np.ones(second), np.ones(7), np.zeros(9)]
    n, small = first + second, min(first, second)
    expected = min(1.0, 2 * stats.binom.cdf(small, n, 0.5)) if n else 1.0
    assert mcnemar(a, b) == pytest.approx(expected, rel=1e-12)
    assert mcnemar(b, a) == mcnemar(a, b)


def test_holm_by_hand():
    # Sorted 0.01 0.02 0.03 0.04, times 4 3 2 1: 0.04 0.06 0.06 0.04, made to rise.
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0] and holm([]) == []


def test_comparisons_are_of_all_pairs():
    wrong = {name: np.arange(20) < count for name, count in (("a", 2), ("b", 12), ("c", 2))}
    tests = comparisons(wrong)
    assert [(one["a"], one["b"]) for one in tests] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert tests[1]["p"] == tests[1]["p_holm"] == 1.0
    assert tests[0]["p_holm"] == pytest.approx(3 * 2 / 2**10) and tests[0]["error_b"] == 0.6


def test_other_examples_are_refused():
    with pytest.raises(ConfigError, match="two arrays .N. of one length"):
        mcnemar([True], [True, False])
