"""Balls: exact minima of linear functions against closed forms and linear programs."""

import numpy as np
import pytest
import scipy.optimize
import tensorflow as tf

from mmtf.bounds.balls import NORMS, Ball, as_ball, dual_norm, minimum
from mmtf.errors import ConfigError
from mmtf.threat import ThreatModel

ORDER = {"linf": 1, "l2": 2, "l1": np.inf}  # of the dual norm


@pytest.mark.parametrize("norm", NORMS)
def test_without_a_box_the_decrease_is_the_dual_norm(norm, rng):
    x, a = rng.uniform(-1, 1, (5, 7)), rng.normal(size=(5, 7))
    ball = Ball(eta=0.7, norm=norm, box=(-100.0, 100.0))
    dual = np.linalg.norm(a, ORDER[norm], axis=1)
    found = minimum(norm, tf.constant(a), ball.region(x))
    np.testing.assert_allclose(found, (a * x).sum(1) - 0.7 * dual, rtol=1e-12)
    np.testing.assert_allclose(dual_norm(norm, tf.constant(a)), dual, rtol=1e-12)


@pytest.mark.parametrize("norm", NORMS)
def test_with_the_box_the_minimum_is_that_of_a_general_solver(norm, rng):
    for eta in (0.05, 0.5, 1.5, 40.0):  # the last ball contains the box
        x, a = rng.uniform(-1, 1, (2, 3, 2)), rng.normal(size=(2, 3, 2))
        x[0, 0] = -1.0, 1.0  # pixels at both ends of the box
        found = minimum(norm, tf.constant(a), Ball(eta=eta, norm=norm).region(x)).numpy()
        for i in range(2):
            wanted = _solved(a[i].ravel(), x[i].ravel(), eta, norm)
            # SLSQP stops at 1e-12 of the objective; its constraint holds to about 1e-9.
            assert found[i] == pytest.approx(wanted, abs=1e-7)


def _solved(a, x, eta, norm):
    """Variables (p, q) >= 0 with z = x + p - q."""
    size = len(a)
    bounds = [(0, 1 - v) for v in x] + [(0, v + 1) for v in x]
    cost = np.concatenate([a, -a])
    if norm == "linf":
        bounds = [(0, min(high, eta)) for _, high in bounds]
        return a @ x + scipy.optimize.linprog(cost, bounds=bounds).fun
    if norm == "l1":
        total = np.ones((1, 2 * size))
        return a @ x + scipy.optimize.linprog(cost, A_ub=total, b_ub=[eta], bounds=bounds).fun
    within = {
        "type": "ineq",
        "fun": lambda d: eta**2 - d @ d,
        "jac": lambda d: -2 * d,
    }
    found = scipy.optimize.minimize(
        lambda d: a @ d,
        np.zeros(size),
        jac=lambda d: a,
        bounds=[(-1 - v, 1 - v) for v in x],
        constraints=[within],
        method="SLSQP",
        options={"ftol": 1e-12, "maxiter": 500},
    )
    return a @ x + found.fun


@pytest.mark.parametrize("norm", NORMS)
def test_the_gradient_is_the_minimizer(norm, rng):
    x, a = rng.uniform(-1, 1, (4, 6)), tf.constant(rng.normal(size=(4, 6)))
    ball = Ball(eta=0.8, norm=norm)
    with tf.GradientTape() as tape:
        tape.watch(a)
        least = minimum(norm, a, ball.region(x))
    z = tape.gradient(least, a).numpy()
    np.testing.assert_allclose((a.numpy() * z).sum(1), least, atol=1e-9)
    assert Ball(eta=0.8 + 1e-9, norm=norm, box=(-1 - 1e-9, 1 + 1e-9)).contains(z, x).all()


def test_contains():
    x, z = np.zeros([4, 2]), np.array([[0.3, 0.4], [0.6, 0.0], [np.nan, 0.0], [0.0, -0.5]])
    inside = {norm: Ball(eta=0.5, norm=norm).contains(z, x).tolist() for norm in NORMS}
    assert inside == {
        "linf": [True, False, False, True],
        "l2": [True, False, False, True],
        "l1": [False, False, False, True],
    }
    assert not Ball(eta=0.5, box=(-0.4, 1.0)).contains(z[3:], x[3:]).any()


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_tolerance_is_that_of_the_threat_model(norm):
    """The enlarged ball contains exactly what `ThreatModel.violations` accepts."""
    threat = ThreatModel(eta=0.3, norm=norm)
    enlarged = as_ball(threat).with_tolerance(9)
    x = np.zeros([2, 9])
    z = np.zeros([2, 9])
    z[:, 0] = enlarged.eta - 1e-12, enlarged.eta + 1e-12
    assert enlarged.contains(z, x).tolist() == [True, False]
    assert threat.violations(z, x).tolist() == [False, True]


def test_a_radius_for_each_channel(rng):
    """Every pixel moves by its own radius; the least value is the sum over pixels."""
    threat = ThreatModel(eta=[0.1, 0.0, 0.3])
    x, a = rng.uniform(-0.5, 0.5, (2, 2, 2, 3)), rng.normal(size=(2, 2, 2, 3))
    ball = as_ball(threat)
    least = (a * x - np.abs(a) * [0.1, 0.0, 0.3]).reshape(2, -1).sum(1)
    np.testing.assert_allclose(minimum("linf", tf.constant(a), ball.region(x)), least, rtol=1e-12)
    z = x + [[0.1, 0.0, -0.3]]
    enlarged = ball.with_tolerance(12)
    assert enlarged.contains(z, x).all() and not threat.violations(z, x).any()
    z[1, 0, 0, 1] += 1e-6  # the radius of this channel is 0
    assert enlarged.contains(z, x).tolist() == [True, False]
    assert threat.violations(z, x).tolist() == [False, True]
    with pytest.raises(ConfigError, match="eta that broadcasts over images"):
        ball.region(x[..., :2])


def test_only_balls_are_accepted():
    class Other(ThreatModel):
        """Its constraint is unknown."""

    for wrong in (0.3, Other(eta=0.3)):
        with pytest.raises(ConfigError, match="Expected threat="):
            as_ball(wrong)
    for changes in ({"eta": 0.0}, {"eta": 1.0, "norm": "l3"}, {"eta": 1.0, "box": (1.0, 0.0)}):
        with pytest.raises(ConfigError):
            Ball(**changes)
    with pytest.raises(ConfigError, match="images in the box"):
        Ball(eta=0.1).region(np.full([1, 2], 1.5))
    with pytest.raises(ConfigError, match="at least one image"):
        Ball(eta=0.1).region(np.zeros([0, 2]))
