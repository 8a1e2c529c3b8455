"""`MILP`: the exact least margin of a small ReLU net, by mixed-integer linear programming."""

import dataclasses
import math
from typing import Any, ClassVar

import numpy as np
import scipy.optimize
import tensorflow as tf

from mmtf.bounds.activations import LeakyReLU
from mmtf.bounds.backward import backward, margin_rows, no_lines, unit_rows
from mmtf.bounds.balls import Ball
from mmtf.bounds.crown import bound_by_crown
from mmtf.bounds.graph import INPUT, Graph
from mmtf.bounds.problem import Problem
from mmtf.bounds.verifier import Deadline, Verifier
from mmtf.errors import ConfigError

# HiGHS allows constraints to be violated by 1e-7 and rounds to 1e-6: subtracted from its bounds.
SLACK = 1e-6


class MILP(Verifier):
    """Exact verification of ReLU nets in linf and l1 balls (Tjeng et al. 2019).

    y = max(z, s z) with z in [low, high], low < 0 < high, is encoded with a binary a:

        y >= z,  y >= s z,  y <= z - (1 - s) low (1 - a),  y <= s z + (1 - s) high a

    The bounds are those of CROWN. SciPy's HiGHS minimizes the margin; its dual bound, minus SLACK,
    is a lower bound even if the time is over. Time grows exponentially with the number of
    activations whose sign is not known: for nets of some hundred activations at most.

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
        if not len(owner) or deadline.passed:
            return
        rows = _Rows(problem.graph)
        for i in np.unique(owner):
            program = _program(problem, rows, int(i))
            for j in others[owner == i]:
                if deadline.passed:
                    return
                bound, image = program.minimize(int(problem.labels[i]), int(j), deadline.left)
                problem.improve(np.array([i]), np.array([j]), np.array([bound]))
                if bound < 0 and image is not None:
                    problem.witnesses[int(i)] = image
                    if math.isfinite(problem.until):
                        break  # the example cannot be certified any more
        problem.done.add(self.name)


def require_encodable(graph: Graph, norm: str) -> None:
    """Raises ConfigError if `MILP` cannot encode an activation or the ball."""
    if norm == "l2":
        raise ConfigError(
            "Expected a linf or l1 ball for milp, whose program is linear. Received: l2."
        )
    for index in graph.activations():
        node = graph.nodes[index]
        if not isinstance(node.operation, LeakyReLU):
            raise ConfigError(
                f"Expected ReLU activations for milp. Received: layer {node.layer!r} "
                f"({type(node.operation).__name__})."
            )


class _Rows:
    """Every activation's input and the logits as affine functions of the variables.

    The variables are the pixels, then the outputs of the activations, in the graph's order.
    """

    def __init__(self, graph: Graph):
        self.graph, self.stop = graph, set(graph.activations())
        self.places, count = {}, 0
        for index in (INPUT, *graph.activations()):
            size = math.prod(graph.nodes[index].shape)
            self.places[index] = slice(count, count + size)
            count += size
        self.count = count
        self.inputs = {i: self._of_input(i) for i in graph.activations()}

    def of_margin(self, label: int, other: int) -> tuple[np.ndarray, float]:
        """Coefficients [variables] and constant of logit label - logit other."""
        classes = self.graph.num_classes
        a = margin_rows(tf.constant([label]), tf.constant([other]), classes)
        matrix, constant = self._back(self.graph.last, a)
        return matrix[0], float(constant[0])

    def _of_input(self, index):
        source = self.graph.nodes[index].inputs[0]
        shape = self.graph.nodes[source].shape
        positions = tf.range(math.prod(shape))
        return self._back(source, unit_rows(positions, tf.ones_like(positions, tf.float64), shape))

    def _back(self, start, a):
        found, constant = backward(self.graph, start, a, no_lines, self.stop)
        matrix = np.zeros([len(a), self.count])
        for index, part in found.items():
            matrix[:, self.places[index]] = part.numpy().reshape(len(a), -1)
        return matrix, constant.numpy()


@dataclasses.dataclass
class _Program:
    """A program for scipy.optimize.milp, without the objective."""

    rows: _Rows
    matrix: np.ndarray
    most: np.ndarray
    bounds: scipy.optimize.Bounds
    integrality: np.ndarray
    shape: tuple[int, ...]

    def minimize(self, label: int, other: int, seconds: float) -> tuple[float, Any]:
        """The least margin minus SLACK, and its image, or None if the time was over before one."""
        coefficients, constant = self.rows.of_margin(label, other)
        objective = np.zeros(len(self.integrality))
        objective[: len(coefficients)] = coefficients
        limit = {} if math.isinf(seconds) else {"time_limit": max(seconds, 1e-3)}
        found = scipy.optimize.milp(
            objective,
            constraints=scipy.optimize.LinearConstraint(self.matrix, -np.inf, self.most),
            bounds=self.bounds,
            integrality=self.integrality,
            options={"mip_rel_gap": 0.0, **limit},
        )
        bound = getattr(found, "mip_dual_bound", None)
        if bound is None or not self.integrality.any():
            bound = found.fun if found.status == 0 else -np.inf
        image = None
        if found.x is not None:
            image = found.x[: math.prod(self.shape)].reshape(self.shape)
        value = bound + constant
        return value - SLACK * max(1.0, abs(value)), image


def _program(problem, rows, example) -> _Program:
    graph, region = problem.graph, problem.region
    x, low, high = (part.numpy()[example].ravel() for part in region[:3])
    builder = _Builder(rows.count)
    builder.low[: len(x)], builder.high[: len(x)] = low, high
    for index in graph.activations():
        source = graph.nodes[index].inputs[0]
        below, above = (part.numpy()[example].ravel() for part in problem.boxes[source])
        first = rows.places[index].start
        slope = graph.activation(index).slope
        for k, z in enumerate(zip(*rows.inputs[index], strict=True)):
            builder.activation(first + k, z, below[k], above[k], slope)
    if problem.ball.norm == "l1":
        builder.l1_ball(x, problem.ball.eta)
    return builder.program(rows, graph.nodes[INPUT].shape)


class _Builder:
    """Collects the variables and the constraints `row <= most` of a program."""

    def __init__(self, count):
        self.low, self.high = [-np.inf] * count, [np.inf] * count
        self.whole = [0] * count
        self.rows: list[tuple[dict[int, float], float]] = []

    def variable(self, low, high, whole):
        self.low.append(low)
        self.high.append(high)
        self.whole.append(whole)
        return len(self.low) - 1

    def activation(self, y, z, low, high, slope):
        """y = max(e, slope e) for e = <z[0], variables> + z[1], which lies in [low, high]."""
        if low >= 0 or high <= 0:
            factor = 1.0 if low >= 0 else slope
            self.at_least(y, z, factor)
            self.at_most(y, z, factor)
            return
        a, rest = self.variable(0, 1, 1), 1.0 - slope
        self.at_least(y, z, 1.0)
        self.at_least(y, z, slope)
        self.at_most(y, z, 1.0, {a: -rest * low}, -rest * low)
        self.at_most(y, z, slope, {a: -rest * high})

    def at_least(self, y, z, factor):
        """y >= factor e."""
        row = {int(k): factor * z[0][k] for k in np.flatnonzero(z[0])}
        self.rows.append(({**row, y: -1.0}, -factor * z[1]))

    def at_most(self, y, z, factor, extra=None, most=0.0):
        """y - factor e + <extra, variables> <= most."""
        row = {int(k): -factor * z[0][k] for k in np.flatnonzero(z[0])}
        self.rows.append(({**row, y: 1.0, **(extra or {})}, most + factor * z[1]))

    def l1_ball(self, x, eta):
        """sum of d_i <= eta with d_i >= |z_i - x_i|."""
        moved = [self.variable(0, np.inf, 0) for _ in x]
        for i, d in enumerate(moved):
            self.rows.append(({i: 1.0, d: -1.0}, x[i]))
            self.rows.append(({i: -1.0, d: -1.0}, -x[i]))
        self.rows.append((dict.fromkeys(moved, 1.0), eta))

    def program(self, rows, shape):
        matrix = np.zeros([len(self.rows), len(self.low)])
        for i, (row, _) in enumerate(self.rows):
            for k, value in row.items():
                matrix[i, k] = value
        bounds = scipy.optimize.Bounds(self.low, self.high)
        most = np.array([value for _, value in self.rows])
        return _Program(rows, matrix, most, bounds, np.array(self.whole), shape)
