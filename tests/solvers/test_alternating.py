"""Alternating play: who moves when, and how often."""

import keras
import pytest

from mmtf.solvers import Alternating


def test_v_moves_first_and_u_answers():
    u, v = keras.Variable(1.0), keras.Variable(1.0)
    Alternating(u_optimizer=0.5, v_optimizer=0.5).build([u], [v]).step(lambda u, v: u[0] * v[0])
    assert (float(u.numpy()), float(v.numpy())) == (1.0 - 0.5 * 1.5, 1.5)


def test_v_steps():
    u, v = keras.Variable(0.0), keras.Variable(1.0)
    solver = Alternating(u_optimizer=0.5, v_optimizer=0.25, v_steps=3).build([u], [v])
    solver.step(lambda u, v: u[0] - v[0] ** 2)
    assert float(v.numpy()) == 0.5**3  # halved three times
    assert int(solver.ascent.iterations) == 3 and int(solver.descent.iterations) == 1


def test_refuses_no_step_of_v():
    with pytest.raises(ValueError, match="Expected v_steps > 0. Received: 0"):
        Alternating(v_steps=0)
