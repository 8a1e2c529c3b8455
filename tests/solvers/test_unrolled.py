"""Unrolling: the derivative through the look-ahead, against central differences."""

import keras
import pytest

from mmtf.solvers import Box, Unrolled

from .differences import assert_close, central_differences, directions, f, gradient_v, start

RATE, K = 0.25, 3


def test_gradient_through_the_look_ahead():
    u, v = start(1)

    def ahead(u):
        w = v
        for _ in range(K):
            w = [x + RATE * g for x, g in zip(w, gradient_v(u, w), strict=True)]
        return f(u, w)

    down, up = directions(Unrolled(u_optimizer=1, v_optimizer=1, k=K, rate=RATE), u, v)
    assert_close(down, central_differences(ahead, u))
    assert_close(up, [g.numpy() for g in gradient_v(u, v)])


def test_the_look_ahead_stays_in_the_set_of_v():
    """At v = 1/2 the look-ahead cannot go on, so u's gradient is that of f at v."""
    u, v = keras.Variable(0.25), keras.Variable(0.5)
    solver = Unrolled(u_optimizer=1, v_optimizer=1, k=2, rate=1.0, project_v=Box(-0.5, 0.5))
    solver.build([u], [v]).step(lambda u, v: u[0] * v[0])
    assert float(u.numpy()) == 0.25 - 0.5


def test_refuses_no_look_ahead():
    with pytest.raises(ValueError, match="Expected k > 0. Received: 0"):
        Unrolled(k=0)
