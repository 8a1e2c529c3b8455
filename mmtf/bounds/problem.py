"""`Problem`: a batch of examples and everything that is proved about it so far."""

import dataclasses
import math
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow import Tensor

from mmtf.bounds.affine import Pair
from mmtf.bounds.backward import backward, lowest, margin_rows, no_lines, of_rows, unit_rows
from mmtf.bounds.balls import Ball, Region
from mmtf.bounds.graph import INPUT, Graph
from mmtf.bounds.interval import intervals, row_norms
from mmtf.errors import require, require_int
from mmtf.runtime.memory import device_memory

# Share of the memory for the rows of one chunk, and the number of arrays of the size of the widest
# node that a row needs at once.
SHARE, ARRAYS = 0.02, 8
MOST_ROWS = 1024


def require_examples(graph: Graph, x: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    """Returns images and labels as arrays.

    Raises:
      ConfigError: the images do not fit the model, or a label is not the number of a class.
    """
    x, labels = np.asarray(x), np.asarray(y)
    shape, classes = graph.nodes[INPUT].shape, graph.num_classes
    require(x.shape[1:] == shape, f"images {shape}", x.shape)
    require(labels.shape == (len(x),), f"{len(x)} labels", labels.shape)
    whole = np.issubdtype(labels.dtype, np.integer)
    require(whole, "labels as whole numbers", labels.dtype.name)
    known = ((labels >= 0) & (labels < classes)).all()
    require(bool(known), f"labels from 0 to {classes - 1}", labels[:10].tolist())
    return x, labels


@dataclasses.dataclass(eq=False)
class Problem:
    """Examples, their balls, and bounds that every verifier may use and improve.

    Attributes:
      graph: the classifier.
      ball: the ball.
      region: the ball around each image.
      labels: int [N].
      margins: float64 [N, C], the best lower bound of logit y - logit j so far; inf at j = y.
      norms: see `row_norms`.
      chunk: number of rows computed together; changes results by rounding only.
      boxes: bounds of the activations' inputs and outputs.
      until: margins proved to at least this need no better bound; inf: all do.
      witnesses: number of an example -> an image that verifiers believe to be misclassified.
      done: names of the verifiers that have contributed to `margins`.
    """

    graph: Graph
    ball: Ball
    region: Region
    labels: np.ndarray
    margins: np.ndarray
    norms: dict[int, Tensor]
    chunk: int
    boxes: dict[int, Pair]
    until: float = math.inf
    witnesses: dict[int, np.ndarray] = dataclasses.field(default_factory=dict)
    done: set[str] = dataclasses.field(default_factory=set)

    @classmethod
    def of(
        cls,
        graph: Graph,
        ball: Ball,
        x: Any,
        y: Any,
        *,
        chunk: int | None = None,
        norms: dict[int, Tensor] | None = None,
    ) -> "Problem":
        """The problem before any verifier has run.

        Args:
          graph: the classifier.
          ball: the ball.
          x: images in the box, [N, ...].
          y: labels, int [N].
          chunk: number of rows computed together; None: as many as fit into the memory.
          norms: `row_norms` of the graph, if they have been computed.

        Raises:
          ConfigError: the images do not fit the model or lie outside the box, or a label is not
            the number of a class.
        """
        x, labels = require_examples(graph, x, y)
        region, classes = ball.region(x), graph.num_classes
        chunk = default_chunk(graph) if chunk is None else chunk
        require_int("chunk", chunk)
        norms = row_norms(graph, ball.norm, chunk) if norms is None else norms
        margins = np.full([len(x), classes], -np.inf)
        margins[np.arange(len(x)), labels] = np.inf
        return cls(graph, ball, region, labels.astype(np.int32), margins, norms, chunk, {})

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def least(self) -> np.ndarray:
        """float64 [N]: the least margin proved; > 0 means that no class overtakes the label."""
        return self.margins.min(1)

    def take(self, rows: np.ndarray) -> "Problem":
        """The problem of some of the examples.

        Args:
          rows: their numbers, int.
        """
        region, boxes = of_rows((self.region, self.boxes), tf.constant(rows, tf.int32))
        return dataclasses.replace(
            self,
            region=region,
            boxes=boxes,
            labels=self.labels[rows],
            margins=self.margins[rows],
            witnesses={},
            done=set(self.done),
        )

    def compute_intervals(self, known: dict[int, Pair] | None = None) -> dict[int, Pair]:
        """`intervals` of these examples, with bounds `known` of the activations' inputs."""
        graph = self.graph
        count = len(self)
        inputs = {i for index in graph.activations() for i in graph.nodes[index].inputs}
        given = {} if known is None else dict(known)
        for index in inputs - set(given):
            everything = tf.fill([count, *graph.nodes[index].shape], np.float64(np.inf))
            given[index] = (-everything, everything)

        def compute(region, norms, given):
            return intervals(graph, region, norms, given)

        return graph.compiled(("intervals", self.ball.norm), compute)(
            self.region, self.norms, given
        )

    def compute_lines(self) -> dict[int, Any]:
        """Number of an activation node -> its lines on `boxes`, tensors [N, ...]."""
        graph = self.graph

        def compute(boxes):
            return {
                i: graph.activation(i).lines(*boxes[graph.nodes[i].inputs[0]])
                for i in graph.activations()
            }

        return graph.compiled("lines", compute)(self.boxes)

    def bound_outputs(self, index: int, owner: np.ndarray, position: np.ndarray) -> np.ndarray:
        """CROWN bounds of single outputs of a node.

        Args:
          index: number of the node.
          owner: int [R], the example of each output.
          position: int [R], its position in the flattened node.

        Returns:
          float64 [2, R], the lower and the upper bounds.
        """
        graph, norm = self.graph, self.ball.norm
        lines = self.compute_lines()
        before = graph.ancestors(index)
        lines = {i: one for i, one in lines.items() if i in before}

        def compute(owner, position, sign, lines, region):
            a = unit_rows(position, sign, graph.nodes[index].shape)
            own = of_rows(lines, owner)
            coefficients, constant = backward(graph, index, a, own.__getitem__)
            return constant + lowest(norm, coefficients, of_rows(region, owner), {})

        run = graph.compiled(("outputs", norm, index), compute)
        lower, upper = (
            in_chunks(
                lambda o, p, sign=sign: run(
                    o, p, tf.fill(tf.shape(o), np.float64(sign)), lines, self.region
                ),
                self.chunk,
                owner,
                position,
            )
            for sign in (1, -1)
        )
        return np.stack([lower, -upper])

    def open_rows(self) -> tuple[np.ndarray, np.ndarray]:
        """Example and class, int [R], of the margins that need a better bound."""
        owner, others = np.nonzero(self.margins < self.until)
        return owner.astype(np.int32), others.astype(np.int32)

    def improve(self, owner: np.ndarray, others: np.ndarray, bounds: np.ndarray) -> None:
        """Raises `margins` to new lower bounds; entries that are not better stay."""
        self.margins[owner, others] = np.maximum(self.margins[owner, others], bounds)

    def improve_by_intervals(self) -> None:
        """Bounds the margins by the last layer and the intervals of what goes into it."""
        graph, norm = self.graph, self.ball.norm
        stop = set(graph.activations())

        def compute(owner, others, labels, boxes, region):
            a = margin_rows(tf.gather(labels, owner), others, graph.num_classes)
            coefficients, constant = backward(graph, graph.last, a, no_lines, stop)
            own = of_rows({i: boxes[i] for i in coefficients if i != INPUT}, owner)
            return constant + lowest(norm, coefficients, of_rows(region, owner), own)

        run = graph.compiled(("ibp margins", norm), compute)
        self._improve_all(lambda o, j: run(o, j, self.labels, self.boxes, self.region))

    def improve_by_lines(self) -> None:
        """Bounds the margins by one backward pass over the lines on `boxes`."""
        graph, norm = self.graph, self.ball.norm

        def compute(owner, others, labels, lines, region):
            a = margin_rows(tf.gather(labels, owner), others, graph.num_classes)
            own = of_rows(lines, owner)
            coefficients, constant = backward(graph, graph.last, a, own.__getitem__)
            return constant + lowest(norm, coefficients, of_rows(region, owner), {})

        run = graph.compiled(("crown margins", norm), compute)
        lines = self.compute_lines()
        self._improve_all(lambda o, j: run(o, j, self.labels, lines, self.region))

    def _improve_all(self, bound):
        owner, others = self.open_rows()
        self.improve(owner, others, in_chunks(bound, self.chunk, owner, others))


def in_chunks(function: Any, chunk: int, *rows: np.ndarray) -> np.ndarray:
    """Applies a function of int tensors [R] to at most `chunk` rows at a time; float64 [R]."""
    found = [
        function(*[tf.constant(one[i : i + chunk], tf.int32) for one in rows]).numpy()
        for i in range(0, len(rows[0]), chunk)
    ]
    return np.concatenate([np.zeros(0), *found])


def default_chunk(graph: Graph) -> int:
    """Number of rows whose coefficients fit into SHARE of the memory, from 1 to MOST_ROWS."""
    widest = max(math.prod(node.shape) for node in graph.nodes)
    fitting = SHARE * device_memory() / (8 * ARRAYS * widest)
    return int(min(MOST_ROWS, max(1, fitting)))
