"""Simultaneous descent and ascent: both players step from the same point."""

import tensorflow as tf

from mmtf.solvers.base import Objective, Solver


class Simultaneous(Solver):
    """Simultaneous steps: both gradients are taken at (u, v), where Eq. 19 alternates.

        u' = u - lambda df/du (u, v)
        v' = v + sigma df/dv (u, v)

    The cheapest rule, one evaluation of f for both gradients. It diverges on bilinear games, where
    the iterates spiral outwards.

    >>> from mmtf.solvers import solve
    >>> solver = Simultaneous(u_optimizer=0.1, v_optimizer=0.1)
    >>> solution = solve(lambda u, v: 5 * (u**2 - v**2), 0.4, 0.3, solver=solver, steps=100)
    >>> abs(float(solution.u)) < 1e-6
    True
    >>> outwards = solve(lambda u, v: u * v, 0.1, 0.1, solver=solver, steps=100)
    >>> bool(outwards.u**2 + outwards.v**2 > 0.02)
    True
    """

    def step(self, f: Objective, f_max: Objective | None = None) -> dict[str, tf.Tensor]:
        u, v = self.read()
        value, descent, ascent = self.gradients(f, f_max, u, v)
        self.maximize(ascent)
        self.minimize(descent)
        return self.metrics(value, descent, ascent)
