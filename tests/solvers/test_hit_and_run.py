"""Draws of hit-and-run against the moments of uniform distributions."""

import numpy as np
import pytest

from mmtf.errors import ConfigError
from mmtf.solvers.feasible_subsystem import HalfSpaces
from mmtf.solvers.hit_and_run import _solved, hit_and_run, split_r_hat


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


@pytest.mark.parametrize("m", [3, 9])
def test_both_ways_to_solve_agree(m):
    rng = np.random.default_rng(0)
    factors, vector = rng.normal(size=(m, 6)), rng.normal(size=6)
    matrix = factors.T @ factors + 0.3 * np.eye(6)
    np.testing.assert_allclose(matrix @ _solved(factors, 0.3, vector), vector, atol=1e-12)


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
