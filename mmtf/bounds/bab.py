"""`BaB`: branch and bound over the signs of the unstable ReLUs."""

import math
from typing import Any, ClassVar

import numpy as np

from mmtf.bounds.balls import Ball
from mmtf.bounds.crown import bound_by_crown
from mmtf.bounds.problem import Problem
from mmtf.bounds.reduced import Reduced, reduce_example, require_relus
from mmtf.bounds.split_programs import Programs
from mmtf.bounds.split_search import Search
from mmtf.bounds.verifier import BATCH, Deadline, Verifier
from mmtf.errors import require_int


class BaB(Verifier):
    """Branch and bound (Bunel et al. 2020) with beta-CROWN bounds (Wang et al. 2021).

    For each example the net is reduced to its unstable ReLUs (`Reduced`). The ball is divided by
    the signs of their inputs until every part has a bound of at least the margin required, a part
    has an image below it, or the time is over. Bounds of inner inputs are tightened once for each
    example; many parts are bounded together, those with the lowest bounds first.

    Args:
      classifier, chunk, batch_size: see `Verifier`.
      parts: number of parts divided together.
      limit: number of parts after which an example is left.
      iterations: gradient steps for the bound of a part.
      candidates: ReLUs that are tried before a part is divided at one of them.

    Raises:
      ConfigError: an activation other than ReLU or leaky ReLU.
    """

    name: ClassVar[str] = "bab"
    cheap: ClassVar[bool] = False

    def __init__(
        self,
        classifier: Any,
        *,
        chunk: int | None = None,
        batch_size: int = BATCH,
        parts: int = 64,
        limit: int = 50_000,
        iterations: int = 10,
        candidates: int = 8,
    ):
        super().__init__(classifier, chunk=chunk, batch_size=batch_size)
        require_int("parts", parts)
        require_int("limit", limit)
        require_int("iterations", iterations)
        require_int("candidates", candidates)
        self.parts, self.limit = parts, limit
        self.iterations, self.candidates = iterations, candidates

    def supports(self, ball: Ball) -> None:
        require_relus(self.graph, self.name)

    def tighten(self, problem: Problem, deadline: Deadline) -> None:
        bound_by_crown(problem, deadline)
        owner, others = problem.open_rows()
        # Examples that lack little come first, and what they leave of the time goes to the others.
        waiting = sorted(set(owner.tolist()), key=lambda i: -problem.least[i])
        for place, i in enumerate(waiting):
            if deadline.passed:
                return
            left = deadline.left / (len(waiting) - place)
            reduced = reduce_example(problem, i, others[owner == i])
            if reduced is not None:
                self._search(problem, i, reduced, Deadline(left if math.isfinite(left) else None))
        problem.done.add(self.name)

    def _search(self, problem: Problem, example: int, reduced: Reduced, deadline: Deadline) -> None:
        programs = Programs(self.graph, reduced)
        search = Search(programs, problem.until, self.parts, self.iterations, self.candidates)
        search.start()
        while search.open and search.count < self.limit and not deadline.passed:
            search.divide()
        rows = np.full(len(reduced.others), example)
        problem.improve(rows, reduced.others, search.margins())
        image = search.counterexample()
        if image is not None:
            problem.witnesses[example] = image.reshape(problem.region.x.shape[1:])
