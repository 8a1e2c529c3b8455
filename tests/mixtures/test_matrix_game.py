"""Matrix games with known solutions, and certificates of those without."""

import numpy as np
import pytest
import scipy.optimize

from mmtf.errors import ConfigError
from mmtf.mixtures.matrix_game import solve, solve_bayesian

# payoffs, value, p, q
KNOWN = [
    ([[1, -1], [-1, 1]], 0.0, [1 / 2, 1 / 2], [1 / 2, 1 / 2]),
    ([[0, 1, -1], [-1, 0, 1], [1, -1, 0]], 0.0, [1 / 3] * 3, [1 / 3] * 3),
    ([[0.1, 0.5], [0.2, 0.6]], 0.5, [1, 0], [0, 1]),
    ([[0.2, 0.8], [0.6, 0.1]], 0.46 / 1.1, [0.5 / 1.1, 0.6 / 1.1], [0.7 / 1.1, 0.4 / 1.1]),
    ([[-5.0, -2.0], [-3.0, -4.0]], -3.5, [1 / 4, 3 / 4], [1 / 2, 1 / 2]),
    ([[0.7]], 0.7, [1], [1]),
]
MTD = [[0.97, 0.1, 0.3], [0.2, 0.95, 0.25], [0.3, 0.2, 0.9]]


@pytest.mark.parametrize(("payoffs", "value", "p", "q"), KNOWN)
def test_closed_forms(payoffs, value, p, q):
    found = solve(payoffs)
    assert found.value == pytest.approx(value, abs=1e-9)
    np.testing.assert_allclose(found.p, p, atol=1e-9)
    np.testing.assert_allclose(found.q, q, atol=1e-9)
    assert abs(found.certificate) <= 1e-9


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_scale_and_shift_change_the_value_alone(scale):
    plain, moved = solve(MTD), solve(scale * np.array(MTD) - 3.0)
    np.testing.assert_allclose(moved.p, plain.p, atol=1e-9 / min(scale, 1))
    assert moved.value == pytest.approx(scale * plain.value - 3.0, abs=1e-9 * max(scale, 1))


@pytest.mark.parametrize("scale", [1e-9, 1e-6, 1e6])
def test_the_certificate_is_as_narrow_as_the_payoffs(scale, rng):
    for _ in range(20):
        errors, clean = rng.uniform(size=(4, 5)), rng.uniform(size=4)
        expected, found = solve(errors), solve(scale * errors)  # RunError with a wide certificate
        assert found.value == pytest.approx(scale * expected.value, abs=1e-8 * scale)
        alpha = min(scale, 1.0)
        rare = solve_bayesian(errors, clean, alpha)
        # The attackers, a share of alpha, add between 0 and 1 to a mixture's clean error.
        assert 0 <= rare.value - (1 - alpha) * clean.min() <= alpha + 1e-12


def test_duplicated_columns_and_rows_leave_the_value():
    twice = np.repeat(np.repeat(MTD, 2, 0), 3, 1)
    plain, many = solve(MTD), solve(twice)
    assert many.value == pytest.approx(plain.value, abs=1e-9)
    np.testing.assert_allclose(many.p.reshape(3, 2).sum(1), plain.p, atol=1e-9)
    np.testing.assert_allclose(many.q.reshape(3, 3).sum(1), plain.q, atol=1e-9)


@pytest.mark.parametrize("payoffs", [np.zeros((3, 4)), np.full((2, 2), 0.25), np.eye(5) * 0.0 + 1])
def test_degenerate_games_have_strategies_and_certificates(payoffs):
    found = solve(payoffs)
    assert found.value == payoffs[0, 0] and abs(found.certificate) <= 1e-9
    for mixture in (found.p, found.q):
        assert (mixture >= 0).all() and mixture.sum() == pytest.approx(1)


def test_random_games_agree_with_the_attackers_program(rng):
    """The attacker's own program max s, E q >= s, is another one than the defender's."""
    for _ in range(10):
        payoffs = rng.normal(size=(5, 7)).round(1)
        rows, columns = payoffs.shape
        other = scipy.optimize.linprog(
            [*[0.0] * columns, -1.0],
            A_ub=np.hstack([-payoffs, np.ones((rows, 1))]),
            b_ub=np.zeros(rows),
            A_eq=[[1.0] * columns + [0.0]],
            b_eq=[1.0],
            bounds=[(0, None)] * columns + [(None, None)],
        )
        found, again = solve(payoffs), solve(payoffs)
        assert found.value == pytest.approx(-other.fun, abs=1e-9)
        np.testing.assert_array_equal(found.p, again.p)
        np.testing.assert_array_equal(found.q, again.q)


@pytest.mark.parametrize(
    ("alpha", "value", "p"),
    [
        (0.0, 0.01, [1, 0, 0]),
        (0.01, 0.0196, [1, 0, 0]),
        (0.1, 0.0652, [0.3027, 0.3919, 0.3054]),
        (1.0, 0.4636, None),
    ],
)
def test_moving_target_defense(alpha, value, p):
    found = solve_bayesian(MTD, [0.01, 0.03, 0.02], alpha)
    assert found.value == pytest.approx(value, abs=5e-5)  # printed with four digits
    assert abs(found.certificate) <= 1e-9
    if p is not None:
        np.testing.assert_allclose(found.p, p, atol=5e-5)


def test_what_cannot_be_solved_is_refused():
    for payoffs in ([], [[np.nan]], [1.0, 2.0]):
        with pytest.raises(ConfigError, match="matrix of finite numbers"):
            solve(payoffs)
    with pytest.raises(ConfigError, match="clean error for each"):
        solve_bayesian(MTD, [0.1], 0.5)
    with pytest.raises(ConfigError, match="alpha"):
        solve_bayesian(MTD, [0.1, 0.1, 0.1], 1.5)
