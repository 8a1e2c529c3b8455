"""Consensus: the gradient of ||df||^2 / 2 in both players, against central differences."""

import keras
import numpy as np

from mmtf.solvers import Consensus
from mmtf.solvers.base import differentiate

from .differences import assert_close, central_differences, directions, f, squares, start

GAMMA = 0.75


def test_directions_of_both_players():
    u, v = start(2)

    def half_squares(u, v):
        _, down, up = differentiate(f, u, v, u, v)
        return 0.5 * (squares(down) + squares(up))

    down, up = directions(Consensus(u_optimizer=1, v_optimizer=1, gamma=GAMMA), u, v)
    _, descent, ascent = differentiate(f, u, v, u, v)
    shrink_u = central_differences(lambda u: half_squares(u, v), u)
    shrink_v = central_differences(lambda v: half_squares(u, v), v)
    assert_close(down, [g + GAMMA * s for g, s in zip(descent, shrink_u, strict=True)])
    assert_close(up, [g - GAMMA * s for g, s in zip(ascent, shrink_v, strict=True)])


def test_a_stationary_point_is_left_alone():
    u, v = keras.Variable(0.0), keras.Variable(0.0)
    metrics = Consensus(gamma=2.0).build([u], [v]).step(lambda u, v: u[0] * v[0] - u[0] ** 2)
    np.testing.assert_array_equal([u.numpy(), v.numpy(), metrics["penalty"]], 0.0)
