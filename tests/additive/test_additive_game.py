"""The additive game against closed forms, quadrature and linear programming."""

import numpy as np
import pytest
import scipy.optimize
import tensorflow as tf
from scipy.stats import norm

from mmtf.additive.attacks import fgm
from mmtf.additive.game import AdditiveGame, spread_of
from mmtf.additive.utility import approximate_right
from mmtf.errors import ConfigError
from mmtf.solvers.feasible_exact import exact_in_the_plane
from tests.additive.linear import gaussian_classes, images, linear


def phi(shift, low, high, sigma, eta):
    """P[s + <w, v> > eta] of Gaussian classes on a line and v = shift along +w of class 1."""
    right = norm.sf(eta - shift, loc=high, scale=sigma)
    left = norm.sf(eta + shift, loc=-low, scale=sigma)
    return (right + left) / 2


@pytest.mark.parametrize(("low", "high", "eta"), [(-1.0, 3.0, 0.5), (-2.0, 3.5, 1.0)])
def test_gaussian_classes_are_centered(low, high, eta):
    """The best shift is -(low + high) / 2 clipped to the ball, found by quadrature as well."""
    sigma, radius = 0.5, 2.0
    shifts = np.linspace(-radius, radius, 4001)
    best = shifts[np.argmax(phi(shifts, low, high, sigma, eta))]
    closed = np.clip(-(low + high) / 2, -radius, radius)
    assert abs(best - closed) <= shifts[1] - shifts[0]
    x, y = gaussian_classes(4000, low, high, sigma)
    solved = AdditiveGame(linear([1.0, 0.0]), eta, radius).solve(x, y)
    # phi is a share of 4,000 points: 4 standard deviations of it; the maximum over v of the sample
    # may exceed that of the distribution by about as much.
    most = phi(closed, low, high, sigma, eta)
    assert abs(solved.objective - most) < 8 * np.sqrt(most * (1 - most) / 4000) + 2e-3
    assert phi(solved.vector[0, 0, 0], low, high, sigma, eta) > most - 0.01


def test_the_shift_is_clipped_to_the_ball():
    x, y = gaussian_classes(1000, 0.0, 6.0, 0.5)
    solved = AdditiveGame(linear([1.0, 0.0]), 0.5, 1.0).solve(x, y)
    assert np.linalg.norm(solved.vector) <= 1 + 1e-6
    assert solved.vector[0, 0, 0] < -0.95


def test_symmetric_data_need_no_vector():
    points = np.random.default_rng(0).normal(size=(200, 2)) * [0.2, 1] + [2, 0]
    x = images(np.concatenate([points, -points]))
    y = np.repeat([1, 0], 200)
    solved = AdditiveGame(linear([1.0, 0.0]), 0.5, 1.0).solve(x, y)
    assert solved.at_zero == solved.objective == 1.0
    assert solved.zero_is_best
    assert solved.value == (1.0, 1.0)


def test_the_search_agrees_with_the_plane():
    rng = np.random.default_rng(1)
    for _ in range(5):
        x = images(rng.normal(size=(12, 2)))
        solved = AdditiveGame(_curved, 0.3, 0.6).solve(x, rng.integers(0, 2, 12))
        assert solved.refined.satisfied == exact_in_the_plane(solved.system).satisfied


def _curved(x, training=False):
    flat = tf.reshape(x, [-1, 2])
    g = flat[:, 0] * flat[:, 1] + tf.sin(2 * flat[:, 0]) - 0.3 * flat[:, 1] ** 2
    return tf.stack([tf.zeros_like(g), g], 1)


def test_no_attack_is_better_than_fgm_in_the_approximate_game():
    rng = np.random.default_rng(2)
    x = images(rng.normal(size=(60, 2)))
    game = AdditiveGame(_curved, 0.5, 0.5)
    seen = game.linearize(x, rng.integers(0, 2, 60))
    best = fgm(seen, 0.5)
    np.testing.assert_allclose(np.linalg.norm(best.reshape(60, -1), axis=1), 0.5, rtol=1e-5)
    for _ in range(50):
        v_d = rng.normal(size=(1, *x.shape[1:]))
        v_d *= 0.5 * rng.uniform() / np.linalg.norm(v_d)
        v_a = rng.normal(size=x.shape)
        v_a *= 0.4999 / np.linalg.norm(v_a.reshape(60, -1), axis=1)[:, None, None, None]
        # Image by image, hence in every mixture too.
        assert (approximate_right(seen, best + v_d) <= approximate_right(seen, v_a + v_d)).all()


def test_the_value_of_the_discretized_game_is_max_phi():
    """A linear program over mixed strategies of both: no mixture beats the best vector."""
    rng = np.random.default_rng(3)
    n, eta = 6, 0.4
    x = images(rng.normal(size=(n, 2)))
    game = AdditiveGame(_curved, eta, eta)
    seen = game.linearize(x, rng.integers(0, 2, n))
    angles = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    ring = np.stack([np.cos(angles), np.sin(angles)], 1)
    defender = np.concatenate([np.zeros((1, 2)), eta * ring, eta * ring / 2])
    # The attacker picks one vector of her own for each image: per image, FGM's and the ring.
    own = np.concatenate(
        [fgm(seen, eta).reshape(n, 1, 2), np.tile(0.99 * eta * ring, (n, 1, 1))], 1
    )
    rows, s = seen.rows.astype(np.float64), seen.distances
    moved = s[:, None, None] + np.einsum(
        "nd,nakd->nak", rows, own[:, :, None] + defender[None, None]
    )
    right = (moved > 0).astype(float)  # [images, attacks, defenses]
    # max over mixtures q of (1 / n) sum_i t_i with t_i <= (right_i q)_a for all attacks a.
    attacks, k = right.shape[1:]
    matrix = np.zeros((n * attacks, k + n))
    matrix[:, :k] = -right.reshape(-1, k)
    matrix[np.arange(n * attacks), k + np.repeat(np.arange(n), attacks)] = 1
    found = scipy.optimize.linprog(
        np.concatenate([np.zeros(k), -np.ones(n) / n]),
        A_ub=matrix,
        b_ub=np.zeros(n * attacks),
        A_eq=np.concatenate([np.ones(k), np.zeros(n)])[None],
        b_eq=[1.0],
    )
    best = max(game.half_spaces(seen).satisfied(v).mean() for v in defender)
    assert -found.fun == pytest.approx(best, abs=1e-9)


def test_against_an_overwhelming_attacker_the_larger_class_is_left():
    """With radii far beyond the data, one class alone can be defended: 70 of 100 points."""
    points = np.random.default_rng(4).normal(size=(100, 2))
    y = np.repeat([1, 0], [70, 30])
    x = images(points + np.where(y[:, None] == 1, [1, 0], [-1, 0]))
    solved = AdditiveGame(linear([1.0, 0.0]), 50.0, 60.0).solve(x, y)
    assert solved.objective == 0.7
    assert solved.at_zero == 0.0


def test_gradients_of_zero_and_wrong_points_count():
    """A constant classifier: v changes nothing, and the points of its class count as right."""

    def constant(x, training=False):
        flat = tf.reshape(x, [-1, 2])
        return tf.stack([0 * flat[:, 0], 0 * flat[:, 0] + 1], 1)

    x = images(np.zeros((4, 2)))
    solved = AdditiveGame(constant, 1.0, 1.0).solve(x, np.array([1, 1, 1, 0]))
    assert solved.objective == solved.at_zero == 0.75
    wrong = AdditiveGame(linear([1.0, 0.0]), 0.1, 0.1).solve(images([[-5.0, 0], [5, 0]]), [1, 1])
    assert wrong.objective == 0.5


def test_the_label_of_the_prediction_makes_all_points_right():
    x = images([[-5.0, 0], [5, 0]])
    game = AdditiveGame(linear([1.0, 0.0]), 0.1, 0.1, label="prediction")
    assert game.solve(x, np.array([1, 1])).at_zero == 1.0


def test_draws_of_smooth_are_as_good_as_the_best_vector():
    x, y = gaussian_classes(300, -1.0, 2.0, 1.0, d=6)
    solved = AdditiveGame(linear([1.0, 0, 0, 0, 0, 0]), 0.5, 1.0).solve(x, y)
    drawn = solved.sample(20)
    assert drawn.shape == (20, 1, 6, 1)
    assert drawn.dtype == np.float32
    for v in drawn:
        assert solved.system.count(v.ravel()) >= solved.refined.satisfied - 1  # float32
    spread = spread_of(drawn, 1.0)
    assert -0.1 <= spread.cosine <= 1
    assert 0 < spread.lengths[0] <= spread.lengths[2] <= 1 + 1e-6
    with pytest.raises(ConfigError, match="at least 2 draws"):
        spread_of(drawn[:1], 1.0)


@pytest.mark.parametrize(
    "options", [{"eta_attack": 0}, {"eta_defense": -1}, {"label": "guess"}, {"eta_attack": "a"}]
)
def test_impossible_arguments(options):
    with pytest.raises(ConfigError, match="Expected"):
        AdditiveGame(linear([1.0, 0.0]), **{"eta_attack": 1.0, "eta_defense": 1.0, **options})


def test_impossible_labels():
    game = AdditiveGame(linear([1.0, 0.0]), 1.0, 1.0)
    with pytest.raises(ConfigError, match="labels 0 or 1 of 2 images"):
        game.solve(images(np.zeros((2, 2))), np.array([0, 2]))
