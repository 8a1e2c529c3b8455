"""`Reduced`: the part of a ReLU net that is not affine on one example's ball, as one matrix.

On a small ball most ReLUs have inputs of one sign and are affine there. What is left are the
inputs z of the other ones, the units, and the margins, each an affine function of the pixels and
of the outputs u of earlier units: z = M (x, 1, u). For a net that was trained for certificates
these are some hundred rows, so a bound costs a few small matrix products instead of a pass through
the net.
"""

import dataclasses
import math
from typing import Any

import numpy as np
import tensorflow as tf

from mmtf.bounds.activations import LeakyReLU, Lines
from mmtf.bounds.backward import backward, margin_rows, of_rows, unit_rows
from mmtf.bounds.balls import Region
from mmtf.bounds.graph import INPUT, Graph
from mmtf.bounds.problem import Problem
from mmtf.errors import ConfigError
from mmtf.runtime.memory import device_memory

# Share of the memory that the matrix of one example may take.
SHARE = 0.02


@dataclasses.dataclass(eq=False)
class Reduced:
    """One example of a problem.

    Attributes:
      norm: of the ball.
      region: the ball, float64 arrays [1, pixels].
      matrix: float64 [units, pixels + 1 + units], the inputs of the units in terms of the pixels,
        the constant 1 and the outputs of the units; of these only those of earlier nodes occur.
      offsets: int [nodes + 1], where the units of each activation node begin.
      low, high: float64 [units], bounds of their inputs.
      slope: float64 [units], of the leaky ReLUs below 0.
      others: int [R], the rival class of each margin.
      margins: float64 [R, pixels + 1 + units].
    """

    norm: str
    region: Region
    matrix: np.ndarray
    offsets: np.ndarray
    low: np.ndarray
    high: np.ndarray
    slope: np.ndarray
    others: np.ndarray
    margins: np.ndarray

    @property
    def units(self) -> int:
        """Number of units."""
        return len(self.low)

    @property
    def pixels(self) -> int:
        """Number of values of the image."""
        return self.region.x.shape[1]

    def values(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The exact net at images of the ball.

        Args:
          z: float64 [N, pixels].

        Returns:
          The inputs of the units [N, units] and the margins [N, R].
        """
        known = np.concatenate([z, np.ones([len(z), 1]), np.zeros([len(z), self.units])], 1)
        inputs = np.zeros([len(z), self.units])
        for start, end in zip(self.offsets[:-1], self.offsets[1:], strict=True):
            width = self.pixels + 1 + start
            inputs[:, start:end] = known[:, :width] @ self.matrix[start:end, :width].T
            part = inputs[:, start:end]
            outputs = np.where(part > 0, part, self.slope[start:end] * part)
            known[:, width : width + end - start] = outputs
        return inputs, known @ self.margins.T


def reduce_example(problem: Problem, example: int, others: np.ndarray) -> Reduced | None:
    """The units of an example and its margins to some classes.

    Args:
      problem: with bounds of the activations' inputs.
      example: its number.
      others: int [R], the classes.

    Returns:
      None if the matrix does not fit into the memory.
    """
    graph = problem.graph
    one = of_rows((problem.region, problem.boxes), tf.constant([example]))
    region, boxes = tf.nest.map_structure(lambda part: part.numpy(), one)
    places, stable, low, high, slope = {}, {}, [], [], []
    for index in graph.activations():
        leak, source = graph.activation(index).slope, graph.nodes[index].inputs[0]
        below, above = boxes[source]
        loose = (below < 0) & (above > 0)
        places[index] = np.flatnonzero(loose).astype(np.int32)
        # The units' own part of a row is read off before it is multiplied by this zero.
        stable[index] = np.where(loose, 0.0, np.where(below >= 0, 1.0, leak))
        low.append(below[loose])
        high.append(above[loose])
        slope.append(np.full(len(places[index]), leak))
    offsets = np.cumsum([0, *[len(one) for one in places.values()]])
    pixels = math.prod(graph.nodes[INPUT].shape)
    if 8 * (pixels + 1 + offsets[-1]) * offsets[-1] > SHARE * device_memory():
        return None
    known = tf.nest.map_structure(tf.constant, (places, stable))
    matrix = np.zeros([offsets[-1], pixels + 1 + offsets[-1]])
    for k, index in enumerate(graph.activations()):
        found = _rows(problem, graph.nodes[index].inputs[0], places[index], *known)
        matrix[offsets[k] : offsets[k + 1], : found.shape[1]] = found
    labels = np.full(len(others), problem.labels[example], np.int32)
    margins = np.zeros([len(others), matrix.shape[1]])
    found = _margins(problem, labels, others.astype(np.int32), *known)
    margins[:, : found.shape[1]] = found
    parts = [part.reshape(1, -1) if part.ndim else part for part in map(np.asarray, region)]
    units = [np.concatenate([np.zeros(0), *one]) for one in (low, high, slope)]
    return Reduced(
        norm=problem.ball.norm,
        region=Region(*parts),
        matrix=matrix,
        offsets=offsets,
        low=units[0],
        high=units[1],
        slope=units[2],
        others=others,
        margins=margins,
    )


def require_relus(graph: Graph, name: str) -> None:
    """Raises ConfigError if an activation is neither a ReLU nor a leaky ReLU.

    Args:
      graph: the classifier.
      name: of the verifier.
    """
    for index in graph.activations():
        node = graph.nodes[index]
        if not isinstance(node.operation, LeakyReLU):
            raise ConfigError(
                f"Expected ReLU activations for {name}. Received: layer {node.layer!r} "
                f"({type(node.operation).__name__})."
            )


def _rows(problem, source, positions, places, stable):
    """Outputs of a node in terms of the pixels, 1 and the units: [positions, ...]."""
    graph = problem.graph

    def compute(position, places, stable):
        a = unit_rows(position, tf.ones_like(position, tf.float64), graph.nodes[source].shape)
        return _composed(graph, source, a, places, stable)

    run = graph.compiled(("reduced", source), compute)
    parts = [
        run(tf.constant(positions[i : i + problem.chunk]), places, stable).numpy()
        for i in range(0, max(1, len(positions)), problem.chunk)
    ]
    return np.concatenate(parts)


def _margins(problem, labels, others, places, stable):
    graph = problem.graph

    def compute(labels, others, places, stable):
        a = margin_rows(labels, others, graph.num_classes)
        return _composed(graph, graph.last, a, places, stable)

    run = graph.compiled("reduced margins", compute)
    return run(tf.constant(labels), tf.constant(others), places, stable).numpy()


def _composed(graph, start, a, places, stable):
    def lines_of(index: int) -> Any:
        slope = stable[index]
        return Lines(slope, tf.zeros_like(slope), slope, tf.zeros_like(slope))

    passed: dict[int, Any] = {}
    found, constant = backward(graph, start, a, lines_of, passed=passed)
    rows = tf.shape(a)[0]
    parts = [tf.reshape(found[INPUT], [rows, -1]), constant[:, None]]
    for index in graph.activations():
        if index > start:  # the row's own node, if an activation, is still one of its units
            break
        size = math.prod(graph.nodes[index].shape)
        coefficients = passed.get(index)
        if coefficients is None:  # of another branch of the net
            coefficients = tf.zeros([rows, size], a.dtype)
        flat = tf.reshape(coefficients, [rows, size])
        parts.append(tf.gather(flat, places[index], axis=1))
    return tf.concat(parts, 1)
