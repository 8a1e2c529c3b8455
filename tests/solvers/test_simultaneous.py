"""Simultaneous play: both gradients at the same point."""

import keras
import numpy as np

from mmtf.solvers import Simultaneous, solve


def test_neither_player_sees_the_other_move():
    u, v = keras.Variable(1.0), keras.Variable(1.0)
    Simultaneous(u_optimizer=0.5, v_optimizer=0.5).build([u], [v]).step(lambda u, v: u[0] * v[0])
    assert (float(u.numpy()), float(v.numpy())) == (0.5, 1.5)


def test_spirals_outwards_on_the_bilinear_game():
    """Each step multiplies the distance from (0, 0) by sqrt(1 + rate^2) exactly."""
    solver = Simultaneous(u_optimizer=0.5, v_optimizer=0.5)
    path = solve(lambda u, v: u * v, 1.0, 0.0, solver=solver, steps=10, trajectory=True).trajectory
    np.testing.assert_allclose(np.hypot(*path), 1.25 ** (np.arange(11) / 2), rtol=1e-5)
