"""Optimism: the memory of the last gradient."""

import keras
import numpy as np

from mmtf.solvers import Optimistic, solve


def test_the_first_step_is_plain_and_the_next_extrapolates():
    u, v = keras.Variable(1.0), keras.Variable(0.0)
    solver = Optimistic(u_optimizer=0.25, v_optimizer=0.25).build([u], [v])
    gradients = []
    for _ in range(3):
        gradients.append(2 * float(u.numpy()))
        solver.step(lambda u, v: u[0] ** 2 - v[0] ** 2)
    # 1 - 2/4, then 1/2 - (2 * 1 - 2)/4 = 1/2, then 1/2 - (2 * 1 - 1)/4.
    assert gradients == [2.0, 1.0, 1.0]
    assert float(u.numpy()) == 0.25


def test_building_again_forgets():
    solver = Optimistic(u_optimizer=0.25, v_optimizer=0.25)
    paths = [solve(lambda u, v: u * v, 1.0, 0.5, solver=solver, steps=3) for _ in range(2)]
    np.testing.assert_array_equal(paths[0][:2], paths[1][:2])
