"""Algorithm 1: minimax optimization by sensitivity penalization (Eqs. 12 to 16)."""

import dataclasses
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from mmtf.errors import require_choice, require_number
from mmtf.solvers.base import Objective, Solver, differentiate, dot

ORDERS = ("simultaneous", "sequential")
SECOND_ORDERS = ("exact", "hvp")


@dataclasses.dataclass(kw_only=True, eq=False, repr=False)
class Sensitivity(Solver):
    """Algorithm 1: u descends f plus a penalty on df/dv, the sensitivity of f to v.

    u descends the sensitivity-penalized function of Eq. 16,

        f(u, v) + (gamma / 2) ||df/dv (u, v)||^2,

    whose gradient is df/du + gamma (d2f/du dv) df/dv. With gamma = sigma it is the gradient in
    Eq. 15, of the risk f(u, v + sigma df/dv) after v's next step. v ascends f (Eq. 14).

    Args:
      gamma: weight of the penalty: a number, or a function of the iteration (such as a Keras
        learning rate schedule), since Algorithm 1 has one gamma for each iteration.
      order: `simultaneous`, Algorithm 1 as printed: both steps are taken at (u_{i-1}, v_{i-1}).
        `sequential`, as Eq. 15 is derived: u's step is taken at the updated v_i. The two methods
        differ: on f = u'Av their gradients in u are A v + gamma A A'u and
        A v + (sigma + gamma) A A'u.
      second_order: how the product of d2f/du dv and df/dv is computed; the matrix itself is never
        formed. `exact` differentiates the penalty through nested tapes. `hvp` computes df/dv first
        and pushes it forward through df/du: the same values at another cost, for f made of
        operations with forward-mode derivatives.

    The norm is that of the gradient of the objective: under several replicas, the local loss of u
    is f_r + gamma <stop_gradient(sum_r df_r/dv), df_r/dv>, and the sum of its gradients over the
    replicas is the gradient of the penalized objective.

    Source: Hamm and Mehra, "Machine vs Machine", Algorithm 1.

    >>> from mmtf.solvers import Box, solve
    >>> box = Box(-0.5, 0.5)
    >>> solver = Sensitivity(
    ...     u_optimizer=0.05, v_optimizer=0.05, gamma=1.0, project_u=box, project_v=box
    ... )
    >>> f = lambda u, v: -v * tf.sin(3.141592653589793 * u)
    >>> solution = solve(f, 0.4, 0.3, solver=solver, steps=500)
    >>> abs(float(solution.u)) < 0.01
    True
    """

    gamma: float | Callable[[Any], Any] = 1.0
    order: str = "simultaneous"
    second_order: str = "exact"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice("order", self.order, ORDERS)
        require_choice("second_order", self.second_order, SECOND_ORDERS)
        if not callable(self.gamma):
            require_number("gamma", self.gamma)

    def step(self, f: Objective, f_max: Objective | None = None) -> dict[str, tf.Tensor]:
        u, v = self.read()
        ascent = None
        if self.order == "sequential":
            _, ascent = differentiate(f_max or f, u, v, v)
            ascent = self.reduce(ascent)
            self.maximize(ascent)
            u, v = self.read()
        gamma = self.gamma(self.descent.iterations) if callable(self.gamma) else self.gamma
        gamma = tf.cast(gamma, u[0].dtype)
        penalized = _nested if self.second_order == "exact" else _forward_over_reverse
        value, descent, sensitivity = penalized(f, f_max, u, v, gamma, self.reduce)
        if self.order == "simultaneous":
            self.maximize(sensitivity)
        descent = self.reduce(descent)
        self.minimize(descent)
        penalty = gamma / 2 * dot(sensitivity, sensitivity)
        return self.metrics(value, descent, sensitivity if ascent is None else ascent, penalty)


def _nested(f, f_max, u, v, gamma, reduce):
    # Returns f, the local gradient of the penalized f in u, and df/dv summed over the replicas.
    with tf.GradientTape() as outer:
        outer.watch(u)
        value, local = differentiate(f_max or f, u, v, v)
        if f_max is not None:
            value = f(u, v)
        sensitivity = [tf.stop_gradient(g) for g in reduce(local)]
        # f may have a lower precision than the variables.
        loss = tf.cast(tf.reduce_sum(value), gamma.dtype) + gamma * dot(sensitivity, local)
    descent = outer.gradient(loss, u, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return value, descent, sensitivity


def _forward_over_reverse(f, f_max, u, v, gamma, reduce):
    _, local = differentiate(f_max or f, u, v, v)
    sensitivity = reduce(local)
    with tf.autodiff.ForwardAccumulator(v, sensitivity) as forward:
        value, descent = differentiate(f_max or f, u, v, u)
    product = forward.jvp(descent, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    if f_max is not None:
        value, descent = differentiate(f, u, v, u)
    return value, [g + gamma * p for g, p in zip(descent, product, strict=True)], sensitivity
