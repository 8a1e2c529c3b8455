"""The extragradient method: gradients at a trial step, applied from the current point."""

import tensorflow as tf

from mmtf.solvers.base import Objective, Solver, assign


class Extragradient(Solver):
    """Extragradient steps: both players use the gradients found after a trial step.

        (u_h, v_h) = (u, v) + step along (-df/du, df/dv) at (u, v)
        (u', v')   = (u, v) + step along (-df/du, df/dv) at (u_h, v_h)

    Converges on bilinear games, where simultaneous steps spiral outwards. Both steps are steps of
    the players' optimizers (as in ExtraAdam), whose iteration counts therefore grow by two; with
    plain gradient steps this is Korpelevich's method. Finds saddle points only.

    Source: Korpelevich 1976; Gidel et al., "A Variational Inequality Perspective on Generative
    Adversarial Networks", ICLR 2019, Algorithm 3.

    >>> from mmtf.solvers import solve
    >>> solver = Extragradient(u_optimizer=0.5, v_optimizer=0.5)
    >>> solution = solve(lambda u, v: u * v, 0.4, 0.3, solver=solver, steps=200)
    >>> abs(float(solution.u)) < 1e-6
    True
    """

    updates = 2

    def step(self, f: Objective, f_max: Objective | None = None) -> dict[str, tf.Tensor]:
        u, v = self.read()
        _, descent, ascent = self.gradients(f, f_max, u, v)
        self.minimize(descent)
        self.maximize(ascent)
        value, descent, ascent = self.gradients(f, f_max, *self.read())
        assign(self.u_variables, u)
        assign(self.v_variables, v)
        self.minimize(descent)
        self.maximize(ascent)
        return self.metrics(value, descent, ascent)
