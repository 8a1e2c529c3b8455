"""Unrolled optimization (Metz et al. 2017): u descends f at v after k look-ahead steps."""

import dataclasses

import tensorflow as tf

from mmtf.errors import require_int, require_number
from mmtf.solvers.base import Objective, Solver, differentiate


@dataclasses.dataclass(kw_only=True, eq=False, repr=False)
class Unrolled(Solver):
    """u descends f(u, v_k(u)), where v_k(u) is v after k ascent steps; v takes one step.

        v_0 = v,  v_{j+1} = v_j + rate df/dv (u, v_j)
        u' = u - lambda d/du f(u, v_k(u)),  v' = v + sigma df/dv (u, v)

    The derivative is taken through the k look-ahead steps, so it has the term of Eq. 15 for each of
    them; Algorithm 1 (`Sensitivity`) approximates k = 1. The result of the look-ahead is discarded.
    Time and memory grow with k.

    Args:
      k: look-ahead steps, >= 1.
      rate: learning rate of the look-ahead, which takes plain gradient steps and projects them by
        `project_v`.

    Source: Metz et al., "Unrolled Generative Adversarial Networks", ICLR 2017, Eqs. 7 to 11.

    >>> from mmtf.solvers import solve
    >>> solver = Unrolled(u_optimizer=0.05, v_optimizer=0.05, k=3, rate=0.5)
    >>> solution = solve(lambda u, v: u * v, 0.4, 0.3, solver=solver, steps=300)
    >>> abs(float(solution.u)) < 1e-3
    True
    """

    k: int = 5
    rate: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        require_int("k", self.k)
        require_number("rate", self.rate, above=0)

    def step(self, f: Objective, f_max: Objective | None = None) -> dict[str, tf.Tensor]:
        u, v = self.read()
        ahead, gradients = v, []
        with tf.GradientTape() as outer:
            outer.watch(u)
            for _ in range(self.k):
                _, local = differentiate(f_max or f, u, ahead, ahead)
                # Summed inside the tape: the look-ahead of each replica depends on u through
                # the gradients of all replicas.
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
