"""Alternating ascent and descent (Eq. 19), as generative adversarial networks are trained."""

import dataclasses

import tensorflow as tf

from mmtf.errors import require_int
from mmtf.solvers.base import Objective, Solver, differentiate


@dataclasses.dataclass(kw_only=True, eq=False, repr=False)
class Alternating(Solver):
    """Alternating steps: v ascends f, then u descends f at the new v (Eq. 19).

        v <- v + sigma df/dv (u, v)      `v_steps` times
        u <- u - lambda df/du (u, v)

    Converges to local saddle points of f. If the minimax point is not a saddle point, the iterates
    need not stop there; on bilinear games with constant learning rates they circle around it. With
    many `v_steps` the rule becomes descent on max_v f(u, v), provided that the inner maximum is
    unique and the ascent finds it.

    Args:
      v_steps: ascent steps of v before each step of u, >= 1.

    Source: Goodfellow et al., "Generative Adversarial Nets", NeurIPS 2014.

    >>> from mmtf.solvers import solve
    >>> solver = Alternating(u_optimizer=0.1, v_optimizer=0.1)
    >>> solution = solve(lambda u, v: u**2 - v**2 + 2 * u * v, 0.4, 0.3, solver=solver, steps=200)
    >>> abs(float(solution.u)) < 1e-6
    True
    """

    v_steps: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        require_int("v_steps", self.v_steps)

    def step(self, f: Objective, f_max: Objective | None = None) -> dict[str, tf.Tensor]:
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
