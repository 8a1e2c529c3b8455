"""The search for the maximum feasible subsystem against closed forms and exact solvers."""

import itertools

import numpy as np
import pytest

from mmtf.errors import ConfigError
from mmtf.solvers.feasible_exact import exact_by_program, exact_in_the_plane
from mmtf.solvers.feasible_lines import refined
from mmtf.solvers.feasible_subsystem import (
    SURROGATES,
    Feasible,
    HalfSpaces,
    at_length,
    default_starts,
    search,
)


def random_system(seed, n=None, d=2) -> HalfSpaces:
    rng = np.random.default_rng(seed)
    n = n or int(rng.integers(2, 13))
    w = rng.normal(size=(n, d))
    w /= np.linalg.norm(w, axis=1, keepdims=True)
    return HalfSpaces(0.7 * rng.normal(size=n) - 0.5, w, 1.0)


def best_on_a_grid(system, points=401) -> int:
    line = np.linspace(-1, 1, points)
    grid = np.stack(np.meshgrid(line, line), -1).reshape(-1, 2)
    grid = grid[np.linalg.norm(grid, axis=1) <= 1]
    return int((system.offsets[:, None] + system.rows @ grid.T > 0).sum(0).max())


@pytest.mark.parametrize("seed", range(8))
def test_the_oracle_of_the_plane_sees_all_that_a_grid_sees(seed):
    system = random_system(seed)
    exact = exact_in_the_plane(system)
    assert exact.satisfied >= best_on_a_grid(system)
    assert system.count(exact.vector) == exact.satisfied


def test_lines_find_what_is_exact_in_the_plane():
    """In all of 150 random systems, as docs/additive.md says, whatever the search found."""
    for seed in range(150):
        system = random_system(seed)
        found = search(system, steps=10)
        best = refined(system, found, rounds=1)
        assert found.satisfied <= best.satisfied == exact_in_the_plane(system).satisfied
        assert system.count(best.vector) == best.satisfied
        assert np.linalg.norm(best.vector) <= 1 + 1e-12


@pytest.mark.parametrize("seed", range(3))
def test_one_round_of_lines_in_the_plane_is_as_good_as_a_grid(seed):
    """Of 60 half-planes and from 0 alone, where no search has been before."""
    system = random_system(seed, n=60)
    zero = Feasible(np.zeros(2), system.count(np.zeros(2)), np.zeros(1))
    assert refined(system, zero, rounds=1).satisfied >= best_on_a_grid(system, 201)


def test_lines_are_never_worse_in_more_dimensions():
    better = 0
    for seed in range(6):
        system = random_system(seed, n=60, d=8)
        found = search(system, "hinge", steps=50)
        best = refined(system, found)
        assert system.count(best.vector) == best.satisfied >= found.satisfied
        better += best.satisfied > found.satisfied
    assert better >= 3


@pytest.mark.parametrize("seed", range(20, 28))
def test_the_integer_program_is_exact_in_the_plane(seed):
    system = random_system(seed)
    found = exact_by_program(system)
    assert found.satisfied == found.bound == exact_in_the_plane(system).satisfied
    assert np.linalg.norm(found.vector) <= 1 + 1e-12


def test_the_integer_program_bounds_the_search_in_more_dimensions():
    for seed in range(4):
        system = random_system(seed, n=12, d=4)
        found, exact = search(system), exact_by_program(system, seconds=20)
        assert found.satisfied <= exact.bound
        assert exact.satisfied <= exact.bound <= system.upper_bound


def test_a_start_is_kept_if_no_program_is_better():
    system = random_system(3)
    v = search(system).vector
    assert exact_by_program(system, start=v, seconds=1e-3).satisfied >= system.count(v)


@pytest.mark.parametrize("surrogate", SURROGATES)
def test_one_direction_of_all_rows_has_a_closed_form(surrogate):
    """With w_i = e_1 the best v is radius e_1, and it satisfies a_i > -radius."""
    offsets = np.linspace(-3, 3, 61) + 0.01
    rows = np.tile([1.0, 0.0, 0.0], (61, 1))
    found = search(HalfSpaces(offsets, rows, 1.0), surrogate)
    assert found.satisfied == int((offsets > -1).sum())


def test_opposed_rows_leave_the_larger_group():
    """20 half-spaces ask for v_1 > .5 and 10 for v_1 < -.5: at most 20 hold together."""
    rows = np.concatenate([np.tile([1.0, 0.0], (20, 1)), np.tile([-1.0, 0.0], (10, 1))])
    system = HalfSpaces(np.full(30, -0.5), rows, 1.0)
    assert search(system).satisfied == 20 == exact_by_program(system).bound


def test_the_sigmoid_gives_up_what_is_out_of_reach_and_the_hinge_does_not():
    """60 half-spaces far out of reach on one side, 40 within reach on the other."""
    rows = np.concatenate([np.tile([1.0, 0.0], (60, 1)), np.tile([-1.0, 0.0], (40, 1))])
    offsets = np.concatenate([np.full(60, -1.5), np.full(40, -0.9)])
    system = HalfSpaces(offsets, rows, 1.0)
    assert system.upper_bound == 40
    assert search(system, "sigmoid").satisfied == 40


def test_symmetric_rows_are_best_served_by_zero():
    """Rows w and -w with one offset a > 0: 0 satisfies all, and nothing satisfies more."""
    w = np.random.default_rng(0).normal(size=(20, 3))
    system = HalfSpaces(np.full(40, 0.1), np.concatenate([w, -w]), 1.0)
    assert search(system).satisfied == 40 == system.count(np.zeros(3))


def test_infinite_offsets_and_zero_rows_count_and_do_not_disturb():
    rows = np.concatenate([np.zeros((3, 2)), [[1.0, 0.0]]])
    system = HalfSpaces(np.array([np.inf, -np.inf, 0.0, -0.5]), rows, 1.0)
    found = search(system)
    assert found.satisfied == 2 == system.upper_bound
    assert np.isfinite(found.vector).all()


def test_the_order_of_examples_does_not_matter():
    system = random_system(5, n=40, d=3)
    order = np.random.default_rng(0).permutation(40)
    moved = HalfSpaces(system.offsets[order], system.rows[order], 1.0)
    assert search(system).satisfied == search(moved).satisfied


def test_starts_are_in_the_ball():
    system = random_system(0, n=8, d=5)
    starts = default_starts(system, random=3)
    assert starts.shape == (5, 5)
    np.testing.assert_allclose(np.linalg.norm(starts[1:], axis=1), 1.0)
    assert not at_length(np.zeros((1, 5)), system).any()


@pytest.mark.parametrize(
    ("offsets", "rows", "radius"),
    [
        (np.zeros(2), np.zeros((3, 2)), 1.0),
        (np.zeros(0), np.zeros((0, 2)), 1.0),
        (np.array([np.nan]), np.ones((1, 2)), 1.0),
        (np.zeros(1), np.full((1, 2), np.inf), 1.0),
        (np.zeros(1), np.ones((1, 2)), 0.0),
    ],
)
def test_impossible_systems(offsets, rows, radius):
    with pytest.raises(ConfigError, match="Expected"):
        HalfSpaces(offsets, rows, radius)


def test_impossible_arguments():
    system = random_system(0, n=13, d=2)
    calls = [
        lambda: search(system, "square"),
        lambda: search(system, steps=0),
        lambda: search(system, starts=np.zeros((1, 3))),
        lambda: refined(system, search(system, steps=1), rounds=0),
        lambda: exact_in_the_plane(system),
        lambda: exact_by_program(random_system(0, n=201)),
        lambda: exact_by_program(system, seconds=0),
    ]
    for call in calls:
        with pytest.raises(ConfigError, match="Expected"):
            call()


def test_every_cell_of_few_lines_is_visited():
    """All sign patterns that two crossing lines make in the disk, by the best count of each."""
    w = np.array([[1.0, 0.0], [0.0, 1.0]])
    for signs in itertools.product((1, -1), repeat=2):
        rows = w * np.array(signs)[:, None]
        # Only the far corner (.7, .7) of the disk, in these signs, satisfies both.
        assert exact_in_the_plane(HalfSpaces(np.full(2, -0.705), rows, 1.0)).satisfied == 2
        assert exact_in_the_plane(HalfSpaces(np.full(2, -0.708), rows, 1.0)).satisfied == 1
