"""Optimistic descent and ascent: one gradient per step, extrapolated from the last two."""

from collections.abc import Iterable
from typing import Any

import keras
import tensorflow as tf

from mmtf.solvers.base import Objective, Solver, assign, values_of


class Optimistic(Solver):
    """Optimistic steps along 2 g_i - g_{i-1}, an estimate of the next gradient.

        u_{i+1} = u_i - lambda (2 df/du_i - df/du_{i-1})
        v_{i+1} = v_i + sigma (2 df/dv_i - df/dv_{i-1})

    Converges on bilinear games like the extragradient method, with half as many gradients; it
    stores the last gradients of both players. The first step is a plain gradient step. Finds saddle
    points only.

    Source: Daskalakis et al., "Training GANs with Optimism", ICLR 2018.

    >>> from mmtf.solvers import solve
    >>> solver = Optimistic(u_optimizer=0.3, v_optimizer=0.3)
    >>> solution = solve(lambda u, v: u * v, 0.4, 0.3, solver=solver, steps=300)
    >>> abs(float(solution.u)) < 1e-6
    True
    """

    def build(self, u_variables: Iterable[Any], v_variables: Iterable[Any]) -> "Optimistic":
        super().build(u_variables, v_variables)
        self.last_descent = [_memory(variable) for variable in self.u_variables]
        self.last_ascent = [_memory(variable) for variable in self.v_variables]
        self.started = keras.Variable(False, trainable=False, dtype="bool", name="started")
        return self

    def step(self, f: Objective, f_max: Objective | None = None) -> dict[str, tf.Tensor]:
        value, descent, ascent = self.gradients(f, f_max, *self.read())
        down = self._extrapolate(descent, self.last_descent)
        up = self._extrapolate(ascent, self.last_ascent)
        assign(self.last_descent, descent)
        assign(self.last_ascent, ascent)
        self.started.assign(True)
        self.maximize(up)
        self.minimize(down)
        return self.metrics(value, down, up)

    def _extrapolate(self, now, memory):
        started = tf.convert_to_tensor(self.started)
        pairs = zip(now, values_of(memory), strict=True)
        return [2 * g - tf.where(started, last, g) for g, last in pairs]


def _memory(variable):
    return keras.Variable(
        tf.zeros(variable.shape), trainable=False, dtype=variable.dtype, name="last_gradient"
    )
