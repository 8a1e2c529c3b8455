"""The bisection against radii that are known, whatever was known before it begins."""

import numpy as np
import pytest

from mmtf.evaluation.certified_radius import QUANTILES, CertifiedRadii, bisected


@pytest.mark.parametrize("tolerance", [0.3, 0.01])
def test_every_radius_is_enclosed(tolerance):
    true = np.random.default_rng(0).uniform(0, 1.2, 50)
    wrong = np.arange(50) < 5
    asked = []

    def prove(radius, rows):
        assert not wrong[rows].any()
        asked.append(radius)
        return true[rows] >= radius

    known = {radius: (true >= radius) & ~wrong for radius in (0.2, 0.5, 1.0)}
    low, above = bisected(wrong, known, prove, tolerance)
    assert (low[wrong] == 0).all() and (above[wrong] == 0).all()
    rest = ~wrong
    assert (low[rest] <= true[rest]).all() and (true[rest] < above[rest]).all()
    inside = rest & (true < 1.0)
    assert (above - low)[inside].max() <= tolerance
    assert (low[true >= 1.0] == 1.0)[~wrong[true >= 1.0]].all()
    # All examples with one middle are proved together, and no radius twice.
    assert len(set(asked)) == len(asked)


def test_a_verifier_that_is_not_monotone_keeps_what_is_proved():
    """Certified at 0.4 although not at 0.2, as with a limit of time."""
    known = {0.2: np.array([False]), 0.4: np.array([True]), 0.8: np.array([False])}
    low, above = bisected(np.array([False]), known, lambda radius, rows: radius < rows, 0.01)
    assert low[0] == 0.4 and above[0] <= 0.41


def test_quantiles_are_radii_of_examples():
    radius = np.linspace(0, 0.4, 37)
    told = CertifiedRadii(radius, radius + 0.01, 0.4, 0.01, "linf", 0.0).to_dict()
    for share in QUANTILES:
        quantile = told["quantiles"][f"{share:g}"]
        assert quantile in radius and (radius <= quantile).mean() >= share - 1 / 37
    assert told["zero"] == told["at_limit"] == 1 / 37


def test_a_tolerance_below_the_spacing_of_numbers_ends():
    true = np.array([0.3])
    known = {1.0: true >= 1.0}
    low, above = bisected(true < 0, known, lambda radius, rows: true[rows] >= radius, 1e-300)
    assert low[0] == 0.3 and above[0] == np.nextafter(0.3, 1)
