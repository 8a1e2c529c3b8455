"""Extragradient: the look-ahead is undone, whatever the optimizer."""

import keras
import numpy as np
import pytest

from mmtf.solvers import Extragradient, solve


def test_contracts_the_bilinear_game_at_its_known_rate():
    """On f = uv the squared distance shrinks by 1 - r^2 + r^4 in each step of rate r."""
    solver = Extragradient(u_optimizer=0.5, v_optimizer=0.5)
    path = solve(lambda u, v: u * v, 1.0, 0.0, solver=solver, steps=10, trajectory=True).trajectory
    np.testing.assert_allclose(np.hypot(*path) ** 2, 0.8125 ** np.arange(11), rtol=1e-5)


@pytest.mark.parametrize("name", ["adam", "rmsprop"])
def test_looks_ahead_by_the_optimizers_own_step(name):
    """With the sign-like first steps of Adam and RMSprop the look-ahead is that step too."""
    seen = []

    def f(u, v):
        seen.append((float(u[0]), float(v[0])))
        return u[0] ** 2 - v[0] ** 2

    u, v = keras.Variable(1.0), keras.Variable(1.0)
    twin = keras.Variable(1.0)
    optimizer = keras.optimizers.get(name)
    optimizer.build([twin])
    optimizer.apply([2.0 * twin], [twin])
    solver = Extragradient(u_optimizer=name, v_optimizer=name).build([u], [v])
    solver.step(f)
    assert seen[0] == (1.0, 1.0)
    np.testing.assert_allclose(seen[1], twin.numpy(), rtol=1e-6)
    assert int(solver.descent.iterations) == 2
