"""Unrolled optimization (Metz et al. 2017): u looks k ascent steps of v ahead."""

import tensorflow as tf

from mmtf.solvers.base import Solver, differentiate


class Unrolled(Solver):
    """min_u max_v f where u descends f(u, v_k(u)), v_k being v after k ascent steps from here.

        v_0 = v,  v_{j+1} = v_j + rate df/dv (u, v_j)
        u' = u - lambda d/du f(u, v_k(u)),  v' = v + sigma df/dv (u, v)

    The derivative goes through the k steps, so it holds Eq. 15's term for each of them; k = 1 is
    what Algorithm 1 (`Sensitivity`) approximates. The look-ahead is thrown away: v itself takes
    one step. Time and memory grow with k.

    Args:
        k: look-ahead steps, at least 1.
        rate: learning rate of the look-ahead, plain gradient steps within `project_v`.

    Source: Metz et al., "Unrolled Generative Adversarial Networks", ICLR 2017, Eqs. 7 to 11.

    >>> from mmtf.solvers import solve
    >>> solver = Unrolled(u_optimizer=0.05, v_optimizer=0.05, k=3, rate=0.5)
    >>> solution = solve(lambda u, v: u * v, 0.4, 0.3, solver=solver, steps=300)
    >>> abs(float(solution.u)) < 1e-3
    True
    """

    def __init__(
        self,
        *,
        u_optimizer=0.01,
        v_optimizer=0.01,
        project_u=None,
        project_v=None,
        k=5,
        rate=0.1,
    ):
        super().__init__(
            u_optimizer=u_optimizer,
            v_optimizer=v_optimizer,
            project_u=project_u,
            project_v=project_v,
        )
        if k < 1:
            raise ValueError(f"Expected k of at least 1. Received {k!r}.")
        self.k = k
        self.rate = rate

    def step(self, f, f_max=None):
        u, v = self.read()
        ahead, gradients = v, []
        with tf.GradientTape() as outer:
            outer.watch(u)
            for _ in range(self.k):
                _, local = differentiate(f_max or f, u, ahead, ahead)
                # The sum over replicas is inside the tape: the look-ahead of every replica
                # depends on u through all of them.
                gradients.append(self.reduce(local))
                ahead = [x + self.rate * g for x, g in zip(ahead, gradients[-1], strict=True)]
                ahead = self.project_v(ahead) if self.project_v else ahead
            value = f(u, ahead)
            loss = tf.reduce_sum(value)
        descent = self.reduce(
            outer.gradient(loss, u, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        )
        self.maximize(gradients[0])
        self.minimize(descent)
        return self.metrics(value, descent, gradients[0])
