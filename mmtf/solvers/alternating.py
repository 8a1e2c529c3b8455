"""Alternating ascent and descent (Eq. 19), as generative adversarial networks are trained."""

from mmtf.solvers.base import Solver, differentiate


class Alternating(Solver):
    """min_u max_v f by turns: v ascends f, then u descends f at the new v (Eq. 19).

        v <- v + sigma df/dv (u, v)      `v_steps` times
        u <- u - lambda df/du (u, v)

    Finds local saddle points of f. Where the minimax point is no saddle point it need not stop
    there, and on bilinear games with constant rates it circles. With many `v_steps` it becomes
    descent on max_v f(u, v) wherever the inner maximum is unique and found.

    Args:
        v_steps: ascent steps of v before each step of u, at least 1.

    Source: Goodfellow et al., "Generative Adversarial Nets", NeurIPS 2014.

    >>> from mmtf.solvers import solve
    >>> solver = Alternating(u_optimizer=0.1, v_optimizer=0.1)
    >>> solution = solve(lambda u, v: u**2 - v**2 + 2 * u * v, 0.4, 0.3, solver=solver, steps=200)
    >>> abs(float(solution.u)) < 1e-6
    True
    """

    def __init__(
        self, *, u_optimizer=0.01, v_optimizer=0.01, project_u=None, project_v=None, v_steps=1
    ):
        super().__init__(
            u_optimizer=u_optimizer,
            v_optimizer=v_optimizer,
            project_u=project_u,
            project_v=project_v,
        )
        if v_steps < 1:
            raise ValueError(f"Expected v_steps of at least 1. Received {v_steps!r}.")
        self.v_steps = v_steps

    def step(self, f, f_max=None):
        for _ in range(self.v_steps):
            u, v = self.read()
            _, ascent = differentiate(f_max or f, u, v, v)
            ascent = self.reduce(ascent)
            self.maximize(ascent)
        u, v = self.read()
        value, descent = differentiate(f, u, v, u)
        descent = self.reduce(descent)
        self.minimize(descent)
        return self.metrics(value, descent, ascent)
