"""`MILP`: the exact least margin of a small ReLU net, by mixed-integer linear programming."""

import math
from typing import ClassVar

import numpy as np

from mmtf.bounds.balls import Ball
from mmtf.bounds.crown import bound_by_crown
from mmtf.bounds.graph import Graph
from mmtf.bounds.problem import Problem
from mmtf.bounds.program import Program
from mmtf.bounds.reduced import reduce_example, require_relus
from mmtf.bounds.split_programs import Programs
from mmtf.bounds.verifier import Deadline, Verifier
from mmtf.errors import ConfigError


class MILP(Verifier):
    """Exact verification of ReLU nets in linf and l1 balls (Tjeng et al. 2019).

    For each example the net is reduced to its unstable ReLUs (`Reduced`). With the input z of one
    in [low, high], low < 0 < high, y = max(z, s z) is encoded with a binary a:

        y >= z,  y >= s z,  y <= z - (1 - s) low (1 - a),  y <= s z + (1 - s) high a

    The bounds are those of CROWN with optimized slopes. SciPy's HiGHS minimizes the margin; its
    dual bound, minus SLACK, is a lower bound even if the time is over. Time grows exponentially
    with the number of activations whose sign is not known: for some hundred at most.

    Raises:
      ConfigError: an activation other than ReLU or leaky ReLU, or an l2 ball.
    """

    name: ClassVar[str] = "milp"
    cheap: ClassVar[bool] = False

    def supports(self, ball: Ball) -> None:
        require_encodable(self.graph, ball.norm)

    def tighten(self, problem: Problem, deadline: Deadline) -> None:
        bound_by_crown(problem, deadline)
        owner, others = problem.open_rows()
        for i in np.unique(owner):
            if deadline.passed:
                return
            reduced = reduce_example(problem, int(i), others[owner == i])
            if reduced is not None:
                Programs(self.graph, reduced).tighten()
                self._minimize(problem, int(i), reduced, deadline)
        problem.done.add(self.name)

    def _minimize(self, problem, example, reduced, deadline):
        program = Program(reduced, reduced.low, reduced.high)
        for row, j in zip(reduced.margins, reduced.others, strict=True):
            if deadline.passed:
                return
            bound, image = program.minimize(row, deadline.left, problem.until)
            problem.improve(np.array([example]), np.array([j]), np.array([bound]))
            if bound < 0 and image is not None:
                problem.witnesses[example] = image.reshape(problem.region.x.shape[1:])
                if math.isfinite(problem.until):
                    return  # the example cannot be certified any more


def require_encodable(graph: Graph, norm: str) -> None:
    """Raises ConfigError if `MILP` cannot encode an activation or the ball."""
    if norm == "l2":
        raise ConfigError(
            "Expected a linf or l1 ball for milp, whose program is linear. Received: l2."
        )
    require_relus(graph, MILP.name)
