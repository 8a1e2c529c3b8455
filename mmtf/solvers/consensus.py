"""Consensus optimization (Mescheder et al. 2017): both players also shrink the gradients."""

import tensorflow as tf

from mmtf.solvers.base import Solver, dot, local_gradients


class Consensus(Solver):
    """min_u max_v f where both players also descend L = (||df/du||^2 + ||df/dv||^2) / 2.

        u' = u - lambda (df/du + gamma dL/du)
        v' = v + sigma (df/dv - gamma dL/dv)

    L vanishes exactly at stationary points: a large gamma makes the method stable near any of
    them, saddle of f or not, and it is drawn to points which solve no minimax problem.

    Args:
        gamma: weight of L.

    With replicas L is made of the gradients of the true f, as in `Sensitivity`.

    Source: Mescheder, Nowozin and Geiger, "The Numerics of GANs", NeurIPS 2017, Algorithm 2.

    >>> from mmtf.solvers import solve
    >>> solver = Consensus(u_optimizer=0.2, v_optimizer=0.2, gamma=1.0)
    >>> solution = solve(lambda u, v: u * v, 0.4, 0.3, solver=solver, steps=200)
    >>> abs(float(solution.u)) < 1e-6
    True
    """

    def __init__(
        self, *, u_optimizer=0.01, v_optimizer=0.01, project_u=None, project_v=None, gamma=1.0
    ):
        super().__init__(
            u_optimizer=u_optimizer,
            v_optimizer=v_optimizer,
            project_u=project_u,
            project_v=project_v,
        )
        self.gamma = gamma

    def step(self, f, f_max=None):
        u, v = self.read()
        with tf.GradientTape() as tape:
            tape.watch([u, v])
            value, descent, ascent = local_gradients(f, f_max, u, v)
            total_descent, total_ascent = self.reduce(descent), self.reduce(ascent)
            coupling = _constant_dot(total_descent, descent) + _constant_dot(total_ascent, ascent)
        shrink_u, shrink_v = tape.gradient(
            coupling, [u, v], unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        down = _add(total_descent, self.reduce(shrink_u), self.gamma)
        up = _add(total_ascent, self.reduce(shrink_v), -self.gamma)
        self.maximize(up)
        self.minimize(down)
        squares = dot(total_descent, total_descent) + dot(total_ascent, total_ascent)
        return self.metrics(value, down, up, self.gamma / 2 * squares)


def _constant_dot(constant, gradient):
    return dot([tf.stop_gradient(g) for g in constant], gradient)


def _add(a, b, factor):
    return [x + factor * y for x, y in zip(a, b, strict=True)]
