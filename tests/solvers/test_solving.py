"""`solve`, `maximin` and `switched`: structures, trajectories, the players' roles."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmtf import solvers
from mmtf.solvers import Alternating, Box, Extragradient, maximin, solve, switched

RATES = {"u_optimizer": 0.25, "v_optimizer": 0.25}


def test_structures_come_back_as_they_went_in():
    u0, v0 = {"a": 1.0, "b": np.float32([1.0, 2.0])}, (tf.constant([0.5]),)

    def f(u, v):
        return u["a"] ** 2 + tf.reduce_sum(u["b"] ** 2) - tf.reduce_sum(v[0])

    solution = solve(f, u0, v0, solver=Alternating(**RATES), steps=2)
    # u -> u / 2 and v -> v - 1/4 in each step.
    assert float(solution.u["a"]) == 0.25
    np.testing.assert_array_equal(solution.u["b"], [0.25, 0.5])
    np.testing.assert_array_equal(solution.v[0], [0.0])
    assert float(solution.value) == 0.375
    assert solution.trajectory is None
    assert u0["a"] == 1.0 and float(v0[0][0]) == 0.5


def test_keeps_float64():
    start = np.float64(1.0)
    solution = solve(lambda u, v: u * v, start, start, solver=Alternating(**RATES), steps=1)
    assert solution.u.dtype == solution.v.dtype == tf.float64


def test_variables_are_moved():
    u, v = keras.Variable(1.0), tf.Variable(0.5)
    solution = solve(lambda u, v: u**2 - v, u, v, solver=Alternating(**RATES), steps=2)
    assert float(u.numpy()) == float(solution.u) == 0.25
    assert float(v.numpy()) == float(solution.v) == 0.0


def test_trajectory_holds_the_start_and_every_iterate():
    solution = solve(
        lambda u, v: u**2 - v[0], 1.0, [0.5], solver=Alternating(**RATES), steps=3, trajectory=True
    )
    path_u, path_v = solution.trajectory
    np.testing.assert_array_equal(path_u, [1.0, 0.5, 0.25, 0.125])
    np.testing.assert_array_equal(path_v[0], [0.5, 0.25, 0.0, -0.25])


def test_no_steps_leave_the_start():
    solution = solve(lambda u, v: u * v, 2.0, 3.0, solver=Alternating(), steps=0, trajectory=True)
    assert [float(x) for x in solution[:3]] == [2.0, 3.0, 6.0]
    assert solution.trajectory[0].shape == (1,)
    with pytest.raises(ValueError, match="Expected steps >= 0. Received: -1"):
        solve(lambda u, v: u * v, 2.0, 3.0, solver=Alternating(), steps=-1)


@pytest.mark.parametrize("name", solvers.SOLVERS)
def test_solve_is_repeated_steps(name):
    def f(u, v):
        return u**2 - v**2 + 2 * u * v

    solver = solvers.SOLVERS[name](**RATES)
    together = solve(f, 0.4, -0.2, solver=solver, steps=4)
    u, v = keras.Variable(0.4), keras.Variable(-0.2)
    solver.build([u], [v])
    for _ in range(4):
        solver.step(lambda u, v: f(u[0], v[0]))
    np.testing.assert_allclose([together.u, together.v], [u.numpy(), v.numpy()], atol=1e-7)


def test_switching_twice_is_the_same_game():
    def f(u, v):
        return u - 3 * v

    assert switched(switched(f))(5, 7) == f(5, 7)


def test_maximin_is_minimax_of_the_switched_game():
    solver = Extragradient(**RATES)
    f = lambda u, v: (u - 1.0) ** 2 - (v + 2.0) ** 2 + u * v  # noqa: E731
    leading = maximin(f, 0.0, 0.0, solver=solver, steps=100, trajectory=True)
    plain = solve(f, 0.0, 0.0, solver=solver, steps=100)
    # Concave-convex: one saddle point, 2(u-1)+v = 0 and u = 2(v+2).
    expected = [8 / 5, -6 / 5]
    np.testing.assert_allclose([leading.u, leading.v], expected, atol=1e-5)
    np.testing.assert_allclose([plain.u, plain.v], expected, atol=1e-5)
    np.testing.assert_allclose(leading.value, plain.value, atol=1e-5)
    assert float(leading.trajectory[0][-1]) == float(leading.u)


def test_maximin_differs_where_there_is_no_saddle_point():
    """2v^2 - (u - v)^2 on the box: min max is 1/4 at u = 0, max min is -1/4 at v = 0."""
    box = Box(-0.5, 0.5)
    f = solvers.surfaces.SURFACES["anti-saddle"].f
    settings = {"u_optimizer": 0.005, "v_optimizer": 0.1, "project_u": box, "project_v": box}
    solver = solvers.KBeam(**settings, spread=1.0)
    low = maximin(f, 0.1, 0.3, solver=solver, steps=300)
    high = solve(f, 0.3, 0.1, solver=solver, steps=300)
    np.testing.assert_allclose([low.v, low.value], [0, -1 / 4], atol=0.02)
    np.testing.assert_allclose([high.u, high.value], [0, 1 / 4], atol=0.02)
