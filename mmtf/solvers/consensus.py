"""Consensus optimization (Mescheder et al. 2017): both players also descend gradient norms."""

import dataclasses

import tensorflow as tf

from mmtf.errors import require_number
from mmtf.solvers.base import Objective, Solver, dot, local_gradients


@dataclasses.dataclass(kw_only=True, eq=False, repr=False)
class Consensus(Solver):
    """Simultaneous steps in which both players also descend L = (||df/du||^2 + ||df/dv||^2) / 2.

        u' = u - lambda (df/du + gamma dL/du)
        v' = v + sigma (df/dv - gamma dL/dv)

    L is 0 exactly at the stationary points of f. A large gamma makes the rule stable near all of
    them, whether or not they are saddle points, so it may converge to points that solve no minimax
    problem. Under several replicas, L is made of gradients summed over the replicas.

    Args:
      gamma: weight of L.

    Source: Mescheder, Nowozin and Geiger, "The Numerics of GANs", NeurIPS 2017, Algorithm 2.

    >>> from mmtf.solvers import solve
    >>> solver = Consensus(u_optimizer=0.2, v_optimizer=0.2, gamma=1.0)
    >>> solution = solve(lambda u, v: u * v, 0.4, 0.3, solver=solver, steps=200)
    >>> abs(float(solution.u)) < 1e-6
    True
    """

    gamma: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require_number("gamma", self.gamma, at_least=0)

    def step(self, f: Objective, f_max: Objective | None = None) -> dict[str, tf.Tensor]:
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
