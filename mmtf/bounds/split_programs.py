"""`Programs`: the compiled functions of `split_bounds` for one reduced net, on numpy arrays."""

import numpy as np
import tensorflow as tf

from mmtf.bounds import split_bounds
from mmtf.bounds.graph import Graph
from mmtf.bounds.reduced import Reduced
from mmtf.bounds.split_bounds import Net, Rows


class Programs:
    """Bounds, branchings and counterexamples of a reduced net.

    Each function is compiled once for a graph and serves every example and number of rows.

    Args:
      graph: the classifier.
      reduced: the net.
      candidates: see `split_bounds.best_branching`.
    """

    def __init__(self, graph: Graph, reduced: Reduced, candidates: int):
        self._graph, self._reduced, self._candidates = graph, reduced, candidates
        self._nodes, self._pixels = len(reduced.offsets) - 1, reduced.pixels
        self.refresh()

    def refresh(self) -> None:
        """Reads the bounds of the units again."""
        r = self._reduced
        arrays = (r.matrix, r.offsets.astype(np.int32), r.low, r.high, r.slope)
        self._net = Net(r.region, *map(tf.constant, arrays))

    def optimize(
        self, rows: Rows, until: np.ndarray, iterations: int, rates: tuple[float, float, float]
    ) -> list[np.ndarray]:
        """`split_bounds.optimize`.

        Args:
          rows: numpy arrays.
          until: float64 [B].
          iterations: number of gradient steps.
          rates: the learning rates of the slopes and the multipliers, and their decay.
        """
        return self._run("optimize", rows, until, np.array([iterations, *rates]))

    def best_branching(self, rows: Rows, until: np.ndarray) -> list[np.ndarray]:
        """`split_bounds.best_branching`."""
        return self._run("best_branching", rows, until, before=(self._candidates,))

    def descend(self, a: np.ndarray, z: np.ndarray, steps: int) -> list[np.ndarray]:
        """`split_bounds.descend`."""
        return self._run("descend", a, z, np.int32(steps))

    def _run(self, name, *arguments, before=()):
        function, norm = getattr(split_bounds, name), self._reduced.norm
        nodes, pixels = self._nodes, self._pixels

        def compute(net, *arguments):
            known = [tf.ensure_shape(part, [1, pixels]) for part in net.region[:3]]
            region = type(net.region)(*known, net.region.eta)
            return function(norm, nodes, *before, net._replace(region=region), *arguments)

        key = ("split", name, norm, *before)
        run = self._graph.compiled(key, compute, free=True)
        arguments = tf.nest.map_structure(tf.constant, arguments)
        return [part.numpy() for part in run(self._net, *arguments)]
