"""Algorithm 1: minimax optimization by sensitivity penalization (Eqs. 12 to 16)."""

import tensorflow as tf

from mmtf.solvers.base import Solver, differentiate, dot

ORDERS = ("simultaneous", "sequential")
SECOND_ORDERS = ("exact", "hvp")


class Sensitivity(Solver):
    """min_u max_v f where u also avoids points at which v could gain quickly (Algorithm 1).

    u descends the sensitivity-penalized function of Eq. 16,

        f(u, v) + (gamma / 2) ||df/dv (u, v)||^2,

    whose gradient df/du + gamma (d2f/du dv) df/dv is that of f(u, v + sigma df/dv), the risk
    after v's next step, when gamma = sigma (Eq. 15). v ascends f (Eq. 14).

    Args:
        gamma: weight of the penalty: a number, or a function of the iteration (a Keras learning
            rate schedule, say), as Algorithm 1 has one for each iteration.
        order: "simultaneous", Algorithm 1 as printed: both steps at (u_{i-1}, v_{i-1}).
            "sequential", as Eq. 15 is derived: u's step at the updated v_i. They are different
            methods: on f = u'Av their gradients in u are A v + gamma A A'u and
            A v + (sigma + gamma) A A'u.
        second_order: how the product of d2f/du dv with df/dv is made. Neither holds anything of
            size |u||v|. "exact" differentiates the penalty through nested tapes. "hvp" takes
            df/dv first and pushes it forward through df/du: same values, another cost, and f
            must consist of operations with forward-mode derivatives.

    The norm is that of the gradient of the true f: with replicas, u's local loss is
    f_r + gamma <stop_gradient(sum_r df_r/dv), df_r/dv>, whose gradients add up to the right one.

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

    def __init__(
        self,
        *,
        u_optimizer=0.01,
        v_optimizer=0.01,
        project_u=None,
        project_v=None,
        gamma=1.0,
        order="simultaneous",
        second_order="exact",
    ):
        super().__init__(
            u_optimizer=u_optimizer,
            v_optimizer=v_optimizer,
            project_u=project_u,
            project_v=project_v,
        )
        if order not in ORDERS:
            raise ValueError(f"Expected order in {ORDERS}. Received {order!r}.")
        if second_order not in SECOND_ORDERS:
            raise ValueError(
                f"Expected second_order in {SECOND_ORDERS}. Received {second_order!r}."
            )
        self.gamma = gamma
        self.order = order
        self.second_order = second_order

    def step(self, f, f_max=None):
        u, v = self.read()
        if self.order == "sequential":
            _, ascent = differentiate(f_max or f, u, v, v)
            self.maximize(self.reduce(ascent))
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
        return self.metrics(value, descent, sensitivity, penalty)


def _nested(f, f_max, u, v, gamma, reduce):
    # -> f, the local gradient of the penalized f in u, and df/dv summed over replicas.
    with tf.GradientTape() as outer:
        outer.watch(u)
        value, local = differentiate(f_max or f, u, v, v)
        if f_max is not None:
            value = f(u, v)
        sensitivity = [tf.stop_gradient(g) for g in reduce(local)]
        # f may be of lower precision than the variables.
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
