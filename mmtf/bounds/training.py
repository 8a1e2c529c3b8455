"""Bounds for training: differentiable in the weights, in float32, inside a compiled step."""

from typing import Any

import tensorflow as tf
from tensorflow import Tensor

from mmtf.bounds.affine import Pair
from mmtf.bounds.backward import backward, lowest, margin_rows, no_lines
from mmtf.bounds.balls import Region
from mmtf.bounds.graph import INPUT, Graph
from mmtf.bounds.interval import intervals

NORM = "linf"


class TrainingBounds:
    """Lower bounds of logit y - logit j on a box of images, as functions of the weights.

    They are the bounds of `mmtf.bounds.IBP` and `mmtf.bounds.CrownIBP` up to the rounding of
    float32. Layers compute as in inference: BatchNormalization by its moving statistics.

    Args:
      classifier: a Keras model of layers that bounds support, or a Classifier of one.

    Raises:
      ConfigError: the classifier has a layer that bounds do not support.

    Example:
      >>> import keras, numpy as np
      >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, use_bias=False)])
      >>> model.set_weights([np.array([[1.0, 0.0], [0.0, 0.0]])])
      >>> bounds = TrainingBounds(model)
      >>> box = tf.constant([[0.3, -0.2]]), tf.constant([[0.7, 0.2]])
      >>> bounds.ibp(box, tf.constant([0])).numpy().round(2).tolist()
      [[0.0, 0.30000001192092896]]
    """

    def __init__(self, classifier: Any):
        self.graph = Graph(classifier, dtype="float32")

    def ibp(self, box: Pair, labels: Tensor) -> Tensor:
        """Margins by interval bounds with the last layer elided (Gowal et al. 2018, section 3).

        Args:
          box: (low, high), the least and the greatest image, float32 [N, ...] each.
          labels: int [N].

        Returns:
          float32 [N, C]; 0 at j = y.
        """
        return self._by_intervals(box, labels, self._intervals(box))

    def crown_ibp(self, box: Pair, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Margins by interval bounds, and by one backward pass over lines on these bounds.

        Source: Zhang et al. (2020), "Towards stable and efficient training of verifiably robust
        neural networks".

        Args:
          box, labels: see `ibp`.

        Returns:
          (margins of `ibp`, margins of the backward pass), float32 [N, C] each.
        """
        graph, boxes = self.graph, self._intervals(box)
        lines = {
            i: graph.activation(i).lines(*boxes[graph.nodes[i].inputs[0]])
            for i in graph.activations()
        }
        own = tf.nest.map_structure(self._repeated, lines)
        found = backward(graph, graph.last, self._rows(labels), own.__getitem__)
        return self._by_intervals(box, labels, boxes), self._margins(*found, box, boxes)

    def _by_intervals(self, box, labels, boxes):
        graph, stop = self.graph, set(self.graph.activations())
        found = backward(graph, graph.last, self._rows(labels), no_lines, stop)
        return self._margins(*found, box, boxes)

    def _intervals(self, box):
        return intervals(self.graph, _region(box), {}, {})

    def _rows(self, labels):
        """Rows e_y - e_j, float32 [N * C, C]: those of an example follow each other."""
        others = tf.tile(tf.range(self.graph.num_classes), [tf.shape(labels)[0]])
        return margin_rows(self._repeated(labels), others, self.graph.num_classes, tf.float32)

    def _repeated(self, values):
        return tf.repeat(values, self.graph.num_classes, 0)

    def _margins(self, coefficients, constant, box, boxes):
        needed = {i: box if i == INPUT else boxes[i] for i in coefficients}
        own = tf.nest.map_structure(self._repeated, needed)
        region = _region(own.get(INPUT, box))
        found = constant + lowest(NORM, coefficients, region, own)
        return tf.reshape(found, [-1, self.graph.num_classes])


def _region(box: Pair) -> Region:
    low, high = box
    return Region((low + high) / 2, low, high, tf.constant(0.0))
