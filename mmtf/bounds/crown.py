"""`CrownIBP` and `Crown`: linear bounds, on interval bounds or on their own bounds inside."""

from typing import ClassVar

import numpy as np
import tensorflow as tf

from mmtf.bounds.activations import LeakyReLU
from mmtf.bounds.affine import Pair
from mmtf.bounds.ibp import bound_by_intervals
from mmtf.bounds.pooling import Maximum
from mmtf.bounds.problem import Problem
from mmtf.bounds.verifier import Deadline, Verifier


class CrownIBP(Verifier):
    """One backward pass over lines on interval bounds (Zhang et al. 2020, CROWN-IBP).

    It is not always tighter than IBP; the result is the greater of both.
    """

    name: ClassVar[str] = "crown_ibp"

    def tighten(self, problem: Problem, deadline: Deadline) -> None:
        bound_by_interval_lines(problem)


class Crown(Verifier):
    """CROWN: backward bounds of the inputs of every activation, then of the margins.

    Only inputs whose lines would improve are bounded, for a ReLU those whose interval contains 0
    (Zhang et al. 2018). The result is at least that of `CrownIBP`.
    """

    name: ClassVar[str] = "crown"
    cheap: ClassVar[bool] = False

    def tighten(self, problem: Problem, deadline: Deadline) -> None:
        bound_by_crown(problem, deadline)


def bound_by_interval_lines(problem: Problem) -> None:
    """CROWN-IBP's part of a problem, after that of IBP."""
    bound_by_intervals(problem)
    if CrownIBP.name not in problem.done:
        problem.improve_by_lines()
        problem.done.add(CrownIBP.name)


def bound_by_crown(problem: Problem, deadline: Deadline) -> None:
    """CROWN's part of a problem, after that of CROWN-IBP."""
    bound_by_interval_lines(problem)
    if Crown.name not in problem.done:
        refine(problem, deadline)
        problem.improve_by_lines()
        problem.done.add(Crown.name)


def refine(problem: Problem, deadline: Deadline) -> None:
    """Bounds the inputs of the activations by CROWN, from the first to the last one.

    Args:
      problem: with interval bounds; its `boxes` become tighter.
      deadline: after it the remaining inputs keep their bounds.
    """
    graph = problem.graph
    mixed, known = graph.mixed(), dict[int, Pair]()
    by_input: dict[int, list[int]] = {}
    for index in graph.activations():
        by_input.setdefault(graph.nodes[index].inputs[0], []).append(index)
    for source in sorted(by_input):
        steps = mixed[source]
        if problem.ball.norm == "linf" and steps is not None and steps <= 1:
            continue  # intervals are exact
        if deadline.passed:
            return
        low, high = problem.boxes[source]
        loose = _loose(problem, source, by_input)
        owner, position = np.nonzero(loose.reshape(len(problem), -1))
        if not len(owner):
            continue
        found = problem.bound_outputs(source, owner, position)
        known[source] = _with(low, high, owner, position, found)
        problem.boxes = problem.compute_intervals(known)


def _loose(problem, source, by_input):
    """bool [N, *shape]: the values of a node whose bounds are worth a backward pass."""
    graph, boxes = problem.graph, problem.boxes
    low, high = boxes[source]
    found = [graph.activation(i).loose(low, high).numpy() for i in by_input[source]]
    loose = np.logical_or.reduce(found)
    if isinstance(graph.nodes[source].operation, Maximum):
        # Of a maximum of several values the pass gives the greatest of their bounds again.
        inner = Maximum().loose(*boxes[graph.nodes[source].inputs[0]]).numpy()
        return loose & ~inner.any(-1)
    followers = [graph.activation(j) for i in by_input[source] for j in by_input.get(i, [])]
    pooled = all(isinstance(graph.activation(i), Maximum) for i in by_input[source])
    if pooled and followers and all(one == LeakyReLU() for one in followers):
        # The ReLU after the pooling gives 0 whatever the values of these windows are.
        loose &= (high.numpy() > 0).any(-1, keepdims=True)
    return loose


def _with(low, high, owner, position, found):
    """The bounds, tightened at some positions."""
    shape, flat = low.shape, [one.numpy().reshape(len(low), -1) for one in (low, high)]
    flat[0][owner, position] = np.maximum(flat[0][owner, position], found[0])
    flat[1][owner, position] = np.minimum(flat[1][owner, position], found[1])
    return tuple(tf.constant(one.reshape(shape)) for one in flat)
