"""`IBP`: interval bound propagation."""

from typing import ClassVar

from mmtf.bounds.problem import Problem
from mmtf.bounds.verifier import Deadline, Verifier


class IBP(Verifier):
    """Interval bounds of all activations, and the exact last layer (Gowal et al. 2018).

    One forward pass; tight for nets that were trained for it, loose for others.

    Example:
      >>> import keras, numpy as np
      >>> from mmtf.threat import ThreatModel
      >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, use_bias=False)])
      >>> model.set_weights([np.array([[1.0, 0.0], [0.0, 0.0]])])
      >>> print(IBP(model)(np.array([[0.5, 0.0]]), np.array([0]), ThreatModel(eta=0.2)).round(2))
      [[inf 0.3]]
    """

    name: ClassVar[str] = "ibp"

    def tighten(self, problem: Problem, deadline: Deadline) -> None:
        bound_by_intervals(problem)


def bound_by_intervals(problem: Problem) -> None:
    """IBP's part of a problem: interval bounds, and the margins that follow."""
    if IBP.name not in problem.done:
        problem.boxes = problem.compute_intervals()
        problem.improve_by_intervals()
        problem.done.add(IBP.name)
