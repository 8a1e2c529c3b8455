"""Intervals and verdicts against figures worked out by hand."""

import dataclasses
import math

import numpy as np
import pytest

from mmtf.stats.estimates import (
    FAILS,
    HOLDS,
    MISSING,
    PARTLY,
    UNDECIDED,
    Estimate,
    difference,
    estimate,
    exact,
    largest,
    smaller,
    together,
    within,
    worst_example,
)
from mmtf.stats.intervals import wilson
from mmtf.stats.packed_bits import pack


def of_examples(error, n):
    """A record that says which of its n examples are wrong: the first."""
    wrong = np.arange(n) < round(error * n)
    return {**record(error, n=n), "wrong": pack(wrong)}


def record(error, seed=0, n=100):
    return {"error": error, "ci_low": error - 0.05, "ci_high": error + 0.05, "n": n, "seed": seed}


def test_one_seed_has_the_interval_over_examples():
    assert estimate([record(0.2)]) == Estimate(
        0.2, pytest.approx(0.15), pytest.approx(0.25), 100, 1
    )
    assert estimate([]) is None


def test_several_seeds_have_students_and_wilsons():
    found = estimate([record(0.18), record(0.2, 1), record(0.22, 2)])
    # t(2, 0.975) = 4.3027; the standard error of .18, .2, .22 is 0.02 / sqrt(3); Wilson's interval
    # of 20 in 100 is [0.1334, 0.2888].
    half = 4.302652729 * 0.02 / math.sqrt(3)
    assert (found.mean, found.seeds) == (pytest.approx(0.2), 3)
    assert found.low == pytest.approx(0.2 - math.hypot(half, 0.2 - 0.1334), abs=1e-4)
    assert found.high == pytest.approx(0.2 + math.hypot(half, 0.2888 - 0.2), abs=1e-4)


def test_seeds_that_agree_do_not_make_the_examples_more():
    """Three seeds with one error on the same images: the interval of those images remains."""
    three = estimate([record(0.045, seed, n=200) for seed in range(3)])
    low, high = wilson(9, 200)
    assert (three.low, three.high) == (pytest.approx(low), pytest.approx(high))
    other = estimate([record(0.05, seed, n=200) for seed in range(3)])
    assert smaller(three, other) == UNDECIDED


def test_the_difference_of_two_proportions_is_newcombes():
    # Newcombe (1998), Table II (a), method 10: 56/70 - 48/80 has [0.0524, 0.3339].
    a = Estimate(56 / 70, 0.6918, 0.8769, 70, 1)
    b = Estimate(48 / 80, 0.4904, 0.7003, 80, 1)
    gap, low, high = difference(a, b)
    assert gap == pytest.approx(0.2)
    assert (low, high) == (pytest.approx(0.0524, abs=2e-4), pytest.approx(0.3339, abs=2e-4))


def of_table(both, first, second, neither):
    """The two estimates of a 2 x 2 table of examples: wrong for both, for one, for neither."""
    a = np.repeat([True, True, False, False], (both, first, second, neither))
    b = np.repeat([True, False, True, False], (both, first, second, neither))
    n = len(a)
    return [
        Estimate(float(wrong.mean()), *wilson(int(wrong.sum()), n), n, 1, wrong[None])
        for wrong in (a, b)
    ]


@pytest.mark.parametrize(
    "table, low, high",
    [((36, 12, 2, 0), 0.0569, 0.3404), ((54, 0, 0, 0), -0.0664, 0.0664)],
)
def test_on_the_same_examples_it_is_newcombes_paired_one(table, low, high):
    # Newcombe (1998), on paired data, Table II, method 10.
    a, b = of_table(*table)
    assert difference(a, b)[1:] == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


def test_pairing_decides_what_the_two_intervals_leave_open():
    a, b = of_table(200, 60, 20, 9720)
    apart = [dataclasses.replace(one, wrong=None) for one in (a, b)]
    assert smaller(*reversed(apart)) == UNDECIDED
    assert smaller(b, a) == HOLDS
    assert smaller(a, b) == FAILS


def test_seeds_are_paired_seed_by_seed():
    """The same wrong images in three seeds tell as much as in one; seeds that differ, less."""
    a, b = of_table(200, 60, 20, 9720)
    same = [dataclasses.replace(one, seeds=3, wrong=np.repeat(one.wrong, 3, 0)) for one in (a, b)]
    assert difference(*same) == pytest.approx(difference(a, b))
    gap, low, high = difference(a, b)
    shifted = same[0].wrong.copy()
    shifted[0, 200:230], shifted[2, 9970:] = False, True  # -0.003 and +0.003 of 10,000
    other = dataclasses.replace(same[0], wrong=shifted)
    # t(2, 0.975) = 4.3027; the standard error of -0.003, 0, 0.003 is 0.003 / sqrt(3).
    half = 4.302652729 * 0.003 / math.sqrt(3)
    found = difference(other, same[1])
    assert found[0] == pytest.approx(gap)
    assert gap - found[1] == pytest.approx(math.hypot(gap - low, half), rel=0.02)
    assert found[2] - gap == pytest.approx(math.hypot(high - gap, half), rel=0.02)


def test_the_paired_interval_covers_the_difference():
    """95 % of intervals hold the true 0.02; of 400, three standard errors are 3.3 %."""
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        counts = rng.multinomial(500, (0.06, 0.04, 0.02, 0.88))
        _, low, high = difference(*of_table(*counts))
        covered += low <= 0.02 <= high
    assert covered / 400 == pytest.approx(0.95, abs=0.033)


def test_records_of_the_same_images_are_paired():
    one, other = (estimate([of_examples(error, 8)]) for error in (0.5, 0.25))
    assert one.wrong.tolist() == [[True] * 4 + [False] * 4]
    # phi = (2 * 4 - 2 * 0 - 4) / sqrt(4 * 4 * 2 * 6)
    phi = 4 / math.sqrt(192)
    down, up = one.mean - one.low, other.high - other.mean
    expected = 0.25 - math.sqrt(down**2 + up**2 - 2 * phi * down * up)
    assert difference(one, other)[1] == pytest.approx(expected)


def test_of_several_checks_the_interval_is_wider():
    """Bonferroni's: of five, each at 99 %, whose normal quantile is 2.5758."""
    one = estimate([{"error": 0.1, "ci_low": wilson(100, 1000)[0], "ci_high": 0.2, "n": 1000}])
    assert one.interval() == (one.low, one.high)
    assert one.interval(5) == pytest.approx(wilson(100, 1000, 2.5758293), abs=1e-9)
    seeds = [{"error": e, "ci_low": 0, "ci_high": 1, "n": 10**12} for e in (0.1, 0.2, 0.3)]
    # Student's t of 2 degrees at 99.5 %: 9.9248; of so many examples nothing is left to add.
    half = 9.9248 * 0.1 / math.sqrt(3)
    low, high = estimate(seeds).interval(5)
    assert (low, high) == (0.0, pytest.approx(0.2 + half, abs=1e-4))
    same = exact(0.1)
    assert same.interval(5) == (0.1, 0.1)
    other = dataclasses.replace(one, mean=0.2)
    down, up = 0.1 - one.interval(5)[0], other.interval(5)[1] - 0.2
    assert difference(one, other, 5)[1] == pytest.approx(-0.1 - math.hypot(down, up))


def test_smaller_is_decided_by_the_interval():
    low, high = Estimate(0.1, 0.09, 0.11, 1, 1), Estimate(0.2, 0.19, 0.21, 1, 1)
    assert (smaller(low, high), smaller(high, low)) == (HOLDS, FAILS)
    assert smaller(low, Estimate(0.11, 0.09, 0.13, 1, 1)) == UNDECIDED
    assert smaller(low, None) == MISSING
    assert smaller(exact(0.1), exact(0.1)) == UNDECIDED


def test_within():
    assert within((0.1, 0.05, 0.15), 0.0, 0.2) == HOLDS
    assert within((0.1, 0.05, 0.25), 0.0, 0.2) == UNDECIDED
    assert within((0.3, 0.25, 0.35), 0.0, 0.2) == FAILS


def test_together():
    assert together([]) == MISSING
    assert together([MISSING, MISSING]) == MISSING
    assert together([HOLDS, HOLDS]) == HOLDS
    assert together([HOLDS, MISSING]) == together([UNDECIDED, MISSING]) == PARTLY
    assert together([FAILS, MISSING]) == FAILS
    assert together([HOLDS, UNDECIDED, FAILS]) == FAILS


def test_the_papers_worst_needs_the_whole_row():
    assert largest([exact(0.1), exact(0.3), exact(0.2)]) == exact(0.3)
    assert largest([exact(0.1), None]) is None


def test_the_worst_example_is_over_common_images():
    records = [of_examples(0.5, 8), of_examples(0.25, 4)]  # wrong: 0, 1, 2, 3 and 0
    low, high = wilson(4, 4)
    assert worst_example(records) == {"error": 1.0, "ci_low": low, "ci_high": high, "n": 4}
    assert worst_example([]) is None
    assert worst_example([*records, {"n": 4, "error": 0.5}]) is None
