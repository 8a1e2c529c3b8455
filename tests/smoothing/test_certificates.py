"""Bounds, radii and votes against closed forms, exact enumeration and SciPy's tests."""

import numpy as np
import pytest
from scipy import stats

from mmtf.errors import ConfigError
from mmtf.smoothing import (
    ABSTAIN,
    certified_of,
    largest_radius,
    lower_bound,
    voted,
)


@pytest.mark.parametrize("n, radius", [(100_000, 3.8115), (10_000, 3.1986), (1000, 2.4633)])
def test_if_all_draws_agree_p_is_the_nth_root_of_alpha(n, radius):
    assert lower_bound(n, n, 0.001) == pytest.approx(0.001 ** (1 / n), rel=1e-12)
    assert largest_radius(2.0, n) == pytest.approx(2 * radius, abs=1e-4)  # four printed digits


def test_a_published_example():
    found = certified_of(np.array([[99, 1]]), np.array([[99_000, 1000]]), 1.0)
    assert found.lower[0] == pytest.approx(0.988989, abs=5e-7)
    assert found.radius[0] == pytest.approx(2.29000, abs=5e-6)
    assert found.label[0] == 0


def test_the_bound_solves_its_equation():
    """P(at least `hits` of n) = alpha at p = bound: the definition of Clopper and Pearson."""
    n, hits = 50, np.arange(51)
    bound = lower_bound(hits, n, 0.01)
    assert bound[0] == 0
    np.testing.assert_allclose(stats.binom.sf(hits[1:] - 1, n, bound[1:]), 0.01, rtol=1e-9)


@pytest.mark.parametrize("p", [0.05, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("alpha", [0.001, 0.05])
def test_coverage(p, alpha):
    """By enumeration of all outcomes, and in a simulation by NumPy."""
    n, hits = 300, np.arange(301)
    exceeds = lower_bound(hits, n, alpha) > p
    assert stats.binom.pmf(hits, n, p)[exceeds].sum() <= alpha
    drawn = np.random.default_rng(0).binomial(n, p, 10_000)
    share = exceeds[drawn].mean()
    assert share <= alpha + 5 * np.sqrt(alpha / 10_000)  # 5 standard deviations


def test_the_class_comes_from_the_selection_alone():
    found = certified_of(np.array([[60, 40]]), np.array([[100, 900]]), 1.0)
    assert found.label[0] == ABSTAIN and found.radius[0] == 0


def test_abstentions_are_never_correct():
    selection, estimation = np.array([[60, 40], [100, 0]]), np.array([[50, 50], [1000, 0]])
    found = certified_of(selection, estimation, 1.0)
    assert found.label.tolist() == [ABSTAIN, 0]
    assert found.correct([ABSTAIN, 0]).tolist() == [False, True]
    assert found.correct([0, 0], radius=2.4).tolist() == [False, True]
    assert found.correct([0, 0], radius=2.5).tolist() == [False, False]


@pytest.mark.parametrize("alpha", [0.001, 0.05])
def test_votes_agree_with_scipys_test(alpha):
    random = np.random.default_rng(0)
    counts = random.multinomial(random.integers(1, 200, 400), [0.5, 0.3, 0.2])
    expected = []
    for row in counts:
        first, second = np.argsort(-row, kind="stable")[:2]
        p = stats.binomtest(int(row[first]), int(row[first] + row[second]), 0.5).pvalue
        expected.append(first if p <= alpha else ABSTAIN)
    assert voted(counts, alpha).tolist() == expected
    assert 0 < np.mean(np.array(expected) == ABSTAIN) < 1


def test_a_fair_coin_abstains():
    """Whatever n is: of all outcomes those that do not abstain have at most the share alpha."""
    for n in (1, 10, 101, 1000):
        heads = np.arange(n + 1)
        label = voted(np.stack([heads, n - heads], 1), 0.001)
        assert stats.binom.pmf(heads, n, 0.5)[label != ABSTAIN].sum() <= 0.001


def test_errors():
    with pytest.raises(ConfigError, match="0 < alpha < 1. Received: 0"):
        lower_bound(1, 2, 0)
    with pytest.raises(ConfigError, match="0 <= hits <= n"):
        lower_bound(3, 2)
    with pytest.raises(ConfigError, match="of one shape"):
        certified_of(np.ones([2, 3]), np.ones([2, 4]), 1.0)
    with pytest.raises(ConfigError, match="counts .N, C., C > 1"):
        voted(np.ones([2, 1]))


def test_no_radius_is_negative():
    found = certified_of(np.array([[5, 0]]), np.array([[5, 0]]), 1.0)
    assert found.label[0] == ABSTAIN
    assert largest_radius(1.0, 5) == found.radius[0] == 0.0
