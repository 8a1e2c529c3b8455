"""Simultaneous descent and ascent: both players move from the same point."""

from mmtf.solvers.base import Solver


class Simultaneous(Solver):
    """min_u max_v f with both steps taken at (u, v), the plain reading of Eq. 19.

        u' = u - lambda df/du (u, v)
        v' = v + sigma df/dv (u, v)

    The cheapest rule, one gradient for both players, and the weakest: on a bilinear game it
    spirals outwards.

    >>> from mmtf.solvers import solve
    >>> solver = Simultaneous(u_optimizer=0.1, v_optimizer=0.1)
    >>> solution = solve(lambda u, v: 5 * (u**2 - v**2), 0.4, 0.3, solver=solver, steps=100)
    >>> abs(float(solution.u)) < 1e-6
    True
    >>> outwards = solve(lambda u, v: u * v, 0.1, 0.1, solver=solver, steps=100)
    >>> bool(outwards.u**2 + outwards.v**2 > 0.02)
    True
    """

    def step(self, f, f_max=None):
        u, v = self.read()
        value, descent, ascent = self.gradients(f, f_max, u, v)
        self.maximize(ascent)
        self.minimize(descent)
        return self.metrics(value, descent, ascent)
