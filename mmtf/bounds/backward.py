"""Backward propagation of linear bounds through a graph (CROWN, Zhang et al. 2018).

A row is a linear function <a, z> of one node's output z, to be bounded from below for one example.
Going back, each node replaces its output in the row by a linear function of its inputs that is at
most as large on the ball: A^T a for affine nodes, the two lines for activations.
"""

from collections.abc import Callable, Container
from typing import Any

import tensorflow as tf
from tensorflow import Tensor

from mmtf.bounds.activations import Activation, Lines
from mmtf.bounds.affine import Affine, Pair
from mmtf.bounds.balls import Region, minimum
from mmtf.bounds.graph import INPUT, Graph

LinesOf = Callable[[int], Lines]


def backward(
    graph: Graph,
    start: int,
    a: Tensor,
    lines_of: LinesOf,
    stop: Container[int] = (),
    passed: dict[int, Tensor] | None = None,
) -> tuple[dict[int, Tensor], Tensor]:
    """Expresses rows of one node in terms of the image or of earlier nodes.

    Args:
      graph: the classifier.
      start: number of the node whose output the rows multiply.
      a: float64 [R, *shape of the node].
      lines_of: number of an activation node -> its lines for each row, tensors [R, ...].
      stop: nodes at whose outputs the rows end.
      passed: receives the coefficients of the output of every activation node that the rows pass,
        number -> [R, *shape].

    Returns:
      Coefficients of the image and of the nodes in `stop`, number -> [R, *shape], and constants
      [R]: <a, z> >= sum of the coefficients times these outputs + the constant.
    """
    waiting, found = {start: a}, {}
    constant = tf.zeros([tf.shape(a)[0]], a.dtype)
    for index in range(start, -1, -1):
        if index not in waiting:
            continue
        a, node = waiting.pop(index), graph.nodes[index]
        operation = node.operation
        if index == INPUT or index in stop:
            found[index] = a
            continue
        if isinstance(operation, Affine):
            constant += operation.constant(a)
            parts = operation.transpose(a, [graph.nodes[i].shape for i in node.inputs])
        else:
            assert isinstance(operation, Activation)
            if passed is not None:
                passed[index] = a
            part, extra = operation.backward(a, lines_of(index))
            constant += extra
            parts = [part]
        for source, part in zip(node.inputs, parts, strict=True):
            waiting[source] = waiting[source] + part if source in waiting else part
    return found, constant


def no_lines(index: int) -> Lines:
    """`lines_of` of rows that meet no activation before they end."""
    raise AssertionError(f"a row reached activation node {index}")


def lowest(
    norm: str, coefficients: dict[int, Tensor], region: Region, boxes: dict[int, Pair]
) -> Tensor:
    """The least value of rows on the ball and on intervals of nodes, float64 [R].

    Args:
      norm: of the ball.
      coefficients: from `backward`.
      region: of the rows.
      boxes: number of a node -> bounds of its output for each row, [R, ...].
    """
    total: Any = 0.0
    for index, a in coefficients.items():
        if index == INPUT:
            total += minimum(norm, a, region)
        else:
            low, high = boxes[index]
            axes = list(range(1, a.shape.rank))
            total += tf.reduce_sum(tf.where(a > 0, a * low, a * high), axes)
    return total


def of_rows(structure: Any, owner: Tensor) -> Any:
    """Selects, in every tensor [N, ...] of a nested structure, the example of each row.

    Args:
      structure: tensors of examples; scalars are kept.
      owner: int [R], the number of the example that a row belongs to.
    """
    return tf.nest.map_structure(
        lambda one: tf.gather(one, owner) if one.shape.rank else one, structure
    )


def unit_rows(index: Tensor, sign: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Rows that pick one output of a node: sign at position `index`, else 0.

    Args:
      index: int [R], positions in the flattened output.
      sign: float64 [R].
      shape: shape of the node.

    Returns:
      float64 [R, *shape].
    """
    size = 1
    for length in shape:
        size *= length
    rows = tf.one_hot(index, size, dtype=tf.float64) * sign[:, None]
    return tf.reshape(rows, [-1, *shape])


def margin_rows(
    labels: Tensor, others: Tensor, classes: int, dtype: tf.DType = tf.float64
) -> Tensor:
    """Rows e_y - e_j over the logits, [R, classes].

    Bounding the difference, instead of both logits, goes through the last layer exactly (Gowal et
    al. 2018, section 3, "elision of the last layer").
    """
    own = tf.one_hot(labels, classes, dtype=dtype)
    return own - tf.one_hot(others, classes, dtype=dtype)
