"""`Programs`: the compiled functions of `split_bounds` for one reduced net, on numpy arrays."""

import numpy as np
import tensorflow as tf

from mmtf.bounds import split_bounds
from mmtf.bounds.graph import Graph
from mmtf.bounds.reduced import Reduced
from mmtf.bounds.split_bounds import Net, Rows

# Learning rates of the slopes and of the multipliers of the whole ball, and the factor by which
# they fall.
ROOT_RATES = (0.25, 0.0, 0.93)
INNER_ITERATIONS = 10


class Programs:
    """Bounds, branchings and counterexamples of a reduced net.

    Each function is compiled once for a graph and serves every example and number of rows.

    Args:
      graph: the classifier.
      reduced: the net.
    """

    def __init__(self, graph: Graph, reduced: Reduced):
        self._graph, self.reduced = graph, reduced
        self._nodes, self._pixels = len(reduced.offsets) - 1, reduced.pixels
        self._read()

    def rows(self, a: np.ndarray) -> Rows:
        """Rows on the whole ball with the slopes of CROWN.

        Args:
          a: float64 [B, pixels + 1 + units].
        """
        r = self.reduced
        adaptive = np.where(r.high >= -r.low, 1.0, r.slope)
        zeros = np.zeros([len(a), r.units])
        return Rows(a, zeros, np.tile(adaptive, (len(a), 1)), zeros)

    def tighten(self) -> None:
        """Raises the bounds of the units' inputs, node by node, with slopes of their own."""
        r = self.reduced
        for start, end in zip(r.offsets[1:-1], r.offsets[2:], strict=True):
            if start == end:
                continue
            a = np.concatenate([r.matrix[start:end], -r.matrix[start:end]])
            until = np.full(len(a), np.inf)
            found = self.optimize(self.rows(a), until, INNER_ITERATIONS, ROOT_RATES)[0]
            low, high = np.split(found, 2)
            r.low[start:end] = np.maximum(r.low[start:end], low)
            r.high[start:end] = np.minimum(r.high[start:end], -high)
            self._read()

    def optimize(
        self, rows: Rows, until: np.ndarray, iterations: int, rates: tuple[float, float, float]
    ) -> tuple[np.ndarray, ...]:
        """`split_bounds.optimize`.

        Args:
          rows: numpy arrays.
          until: float64 [B].
          iterations: number of gradient steps.
          rates: the learning rates of the slopes and the multipliers, and their decay.
        """
        return self._run("optimize", rows, until, np.array([iterations, *rates]))

    def best_branching(self, rows: Rows, until: np.ndarray, candidates: int) -> np.ndarray:
        """`split_bounds.best_branching`."""
        return self._run("best_branching", rows, until, np.int32(candidates))

    def descend(self, a: np.ndarray, z: np.ndarray, steps: int) -> tuple[np.ndarray, ...]:
        """`split_bounds.descend`."""
        return self._run("descend", a, z, np.int32(steps))

    def minimizer(self, a: np.ndarray) -> np.ndarray:
        """`split_bounds.minimizer`."""
        return self._run("minimizer", a)

    def _read(self):
        r = self.reduced
        arrays = (r.matrix, r.offsets.astype(np.int32), r.low, r.high, r.slope)
        self._net = tf.nest.map_structure(tf.constant, Net(r.region, *arrays))

    def _run(self, name, *arguments):
        function, norm = getattr(split_bounds, name), self.reduced.norm
        nodes, pixels = self._nodes, self._pixels

        def compute(net, *arguments):
            known = [tf.ensure_shape(part, [1, pixels]) for part in net.region[:3]]
            region = type(net.region)(*known, net.region.eta)
            return function(norm, nodes, net._replace(region=region), *arguments)

        key = ("split", name, norm)
        run = self._graph.compiled(key, compute, free=True)
        arguments = tf.nest.map_structure(tf.constant, arguments)
        return tf.nest.map_structure(lambda part: part.numpy(), run(self._net, *arguments))
