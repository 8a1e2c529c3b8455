"""Interval bounds of every node (IBP, Gowal et al. 2018, "On the effectiveness of IBP")."""

import numpy as np
import tensorflow as tf
from tensorflow import Tensor

from mmtf.bounds.affine import Affine, Pair
from mmtf.bounds.backward import backward, no_lines, unit_rows
from mmtf.bounds.balls import Region, dual_norm
from mmtf.bounds.graph import INPUT, Graph


def intervals(
    graph: Graph, region: Region, norms: dict[int, Tensor], known: dict[int, Pair]
) -> dict[int, Pair]:
    """Bounds of the inputs and the outputs of all activations, in one forward pass.

    A node that is affine in the image also lies within eta ||A_k||_q of its value at the image,
    with the dual norm of its row of coefficients; this is what makes l2 and l1 balls tight.

    Args:
      graph: the classifier.
      region: the balls, tensors [N, ...].
      norms: number of a node -> dual norms of its rows, [1, *shape] (`row_norms`).
      known: number of a node -> bounds that are known already, [N, *shape].

    Returns:
      Number of a node -> (low, high), float64 [N, *shape].
    """
    boxes: dict[int, Pair] = {INPUT: (region.low, region.high)}
    points: dict[int, Tensor] = {INPUT: region.x}
    for index, node in enumerate(graph.nodes):
        operation = node.operation
        if isinstance(operation, Affine):
            box = operation.interval(*[boxes[i] for i in node.inputs])
            if norms and all(i in points for i in node.inputs):
                points[index] = operation.forward(*[points[i] for i in node.inputs])
            if index in norms:
                reach = region.eta * norms[index]
                box = intersection(box, (points[index] - reach, points[index] + reach))
        elif operation is not None:
            box = operation.interval(boxes[node.inputs[0]])
        else:
            continue
        boxes[index] = intersection(box, known[index]) if index in known else box
    wanted = set(graph.activations())
    wanted |= {i for index in wanted for i in graph.nodes[index].inputs}
    return {index: boxes[index] for index in sorted(wanted)}


def intersection(one: Pair, other: Pair) -> Pair:
    """The common part of two bounds of the same values."""
    return tf.maximum(one[0], other[0]), tf.minimum(one[1], other[1])


def row_norms(graph: Graph, norm: str, chunk: int) -> dict[int, Tensor]:
    """Dual norms of the rows of the activations' inputs that are affine in the image.

    Args:
      graph: the classifier.
      norm: norm of the ball. For `linf` there are none: the interval of the image is the ball.
      chunk: number of rows computed together.

    Returns:
      Number of a node -> float64 [1, *shape].
    """
    if norm == "linf":
        return {}
    mixed = graph.mixed()
    inputs = {i for index in graph.activations() for i in graph.nodes[index].inputs}
    found = {}
    for index in sorted(inputs):
        if mixed[index] is None or index == INPUT:
            continue
        shape = graph.nodes[index].shape
        compute = graph.compiled(("norms", norm, index), _norms_of(graph, norm, index, shape))
        size = int(np.prod(shape))
        parts = [compute(tf.range(i, min(i + chunk, size))) for i in range(0, size, chunk)]
        found[index] = tf.reshape(tf.concat(parts, 0), [1, *shape])
    return found


def _norms_of(graph, norm, index, shape):
    def compute(positions):
        a = unit_rows(positions, tf.ones_like(positions, tf.float64), shape)
        coefficients, _ = backward(graph, index, a, no_lines)
        return dual_norm(norm, coefficients[INPUT])

    return compute
