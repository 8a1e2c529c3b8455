"""Draws of hit-and-run against the moments of uniform distributions."""

import numpy as np
import pytest

from mmtf.errors import ConfigError
from mmtf.solvers.feasible_subsystem import HalfSpaces
from mmtf.solvers.hit_and_run import hit_and_run, split_r_hat


def test_the_whole_ball_has_the_moments_of_a_uniform_ball():
    """In d dimensions E ||v||^2 = d / (d + 2) r^2, and the mean is 0."""
    d, n = 5, 2000
    system = HalfSpaces(np.array([np.inf]), np.zeros((1, d)), 2.0)
    draws = hit_and_run(system, np.full(d, 0.1), samples=n, chains=20, burn_in=20, thinning=3)
    squares = (draws.vectors**2).sum(1) / 4
    # Var(||v||^2 / r^2) = d / (d + 4) - (d / (d + 2))^2 = .045: 4 sigma of 2,000 draws is .019; the
    # draws of a chain are not independent, for which the tolerance is doubled.
    assert abs(squares.mean() - d / (d + 2)) < 0.04
    assert np.abs(draws.vectors.mean(0)).max() < 2 * 4 * 2 * np.sqrt(1 / (d + 2) / n)
    assert draws.chord_ratio == pytest.approx(1.0, abs=1e-5)
    assert draws.r_hat < 1.1


def test_a_half_disk_has_its_centroid():
    """The centroid of a half disk of radius 1 is at 4 / (3 pi)."""
    system = HalfSpaces(np.array([0.0]), np.array([[1.0, 0.0]]), 1.0)
    draws = hit_and_run(system, np.array([0.3, 0.2]), samples=2000, chains=20, thinning=3)
    # The deviation of v_1 is .264: 4 sigma of 2,000 draws is .024, doubled as above.
    assert abs(draws.vectors[:, 0].mean() - 4 / (3 * np.pi)) < 0.048
    assert abs(draws.vectors[:, 1].mean()) < 0.09
    assert (draws.vectors[:, 0] > 0).all()


def test_draws_satisfy_what_the_start_does_and_stay_in_the_ball():
    rng = np.random.default_rng(0)
    system = HalfSpaces(rng.normal(size=30) * 0.3, rng.normal(size=(30, 8)), 1.5)
    v = system.into_ball(rng.normal(size=8))
    wanted = system.satisfied(v)
    for drawn in hit_and_run(system, v, samples=40, burn_in=5).vectors:
        assert system.satisfied(drawn)[wanted].all()
        assert np.linalg.norm(drawn) <= 1.5


def test_a_thin_slab_is_crossed():
    """0 < v_1 < .001 in a disk: the directions of the center's ellipsoid make long steps in it."""
    rows = np.array([[1.0, 0.0], [-1.0, 0.0]])
    system = HalfSpaces(np.array([0.0, 0.001]), rows, 1.0)
    draws = hit_and_run(system, np.array([0.0005, 0.9]), samples=400, chains=8, burn_in=10)
    assert draws.r_hat < 1.1
    # v_2 is nearly uniform on [-1, 1]: deviation .577, 4 sigma of 400 draws .115, doubled.
    assert abs(draws.vectors[:, 1].mean()) < 0.23
    assert draws.chord_ratio < 0.1


def test_chains_mix_in_many_dimensions_if_the_rows_span_few():
    """400 rows in 6 of 200 dimensions: the other 194 are drawn exactly."""
    rng = np.random.default_rng(0)
    plane = np.linalg.qr(rng.normal(size=(200, 6)))[0]
    rows = (rng.normal(size=(400, 6)) @ plane.T).astype(np.float32)
    system = HalfSpaces(rng.normal(size=400) + 1.0, rows, 2.0)
    v = system.into_ball(plane @ (0.3 * rng.normal(size=6)))
    draws = hit_and_run(system, v, samples=100)
    wanted = system.satisfied(v)
    assert draws.dimension == 6
    assert draws.r_hat < 1.05
    assert all(system.satisfied(one)[wanted].all() for one in draws.vectors)
    # Without half-spaces ||v||^2 / 4 has the mean d / (d + 2) = .99, with them less of p is left.
    assert 0.97 < (draws.vectors**2).sum(1).mean() / 4 < 1.0


def test_a_slab_in_many_dimensions_has_its_density():
    """v_1 of a ball of 52 dimensions in |v_1| < h has the density (1 - v_1^2)^(51 / 2)."""
    h, d = 0.1, 52
    rows = np.zeros((2, d))
    rows[:, 0] = [1.0, -1.0]
    draws = hit_and_run(
        HalfSpaces(np.full(2, h), rows, 1.0), np.zeros(d), samples=2000, chains=40, thinning=4
    )
    t = np.linspace(-h, h, 10_001)
    density = (1 - t**2) ** ((d - 1) / 2)
    second = (t**2 * density).sum() / density.sum()
    # v_1^2 is at most h^2: 4 standard deviations of a mean of 2,000 draws of deviation .003 are
    # 2.7e-4; the draws of a chain are not independent, for which that is doubled.
    assert abs((draws.vectors[:, 0] ** 2).mean() - second) < 5.4e-4
    rest = (draws.vectors[:, 1:] ** 2).sum(1) / (1 - draws.vectors[:, 0] ** 2)
    assert abs(rest.mean() - (d - 1) / (d + 1)) < 0.01  # a uniform ball of 51 dimensions


def test_the_seed_decides():
    system = HalfSpaces(np.array([0.2]), np.array([[1.0, 0.0]]), 1.0)
    runs = [hit_and_run(system, np.zeros(2), samples=8, seed=s).vectors for s in (1, 1, 2)]
    np.testing.assert_array_equal(runs[0], runs[1])
    assert (runs[0] != runs[2]).any()


def test_r_hat_tells_chains_apart():
    rng = np.random.default_rng(0)
    mixed = rng.normal(size=(4, 100))
    assert split_r_hat(mixed) < 1.1
    assert split_r_hat(mixed + 5 * np.arange(4)[:, None]) > 2


@pytest.mark.parametrize(
    "options", [{"samples": 0}, {"chains": 0}, {"burn_in": 0}, {"thinning": 0}, {"seed": -1}]
)
def test_impossible_arguments(options):
    system = HalfSpaces(np.array([0.2]), np.array([[1.0, 0.0]]), 1.0)
    with pytest.raises(ConfigError, match="Expected"):
        hit_and_run(system, np.zeros(2), **options)
    with pytest.raises(ConfigError, match="in the ball"):
        hit_and_run(system, np.full(2, 5.0))
