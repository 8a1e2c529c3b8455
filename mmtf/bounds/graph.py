"""`Graph`: the operations of a Keras classifier in order, as bounds traverse them."""

import dataclasses
import functools
from collections.abc import Callable, Hashable
from typing import Any

import keras
import tensorflow as tf
from tensorflow import Tensor

from mmtf.bounds.affine import Affine
from mmtf.bounds.layers import (
    Operation,
    operations_of,
    two_logits,
    without_activation,
)
from mmtf.bounds.supported import unsupported
from mmtf.classifiers.classifier import BOX, Classifier, as_classifier
from mmtf.classifiers.outputs import symbolic_output
from mmtf.classifiers.unwrapping import squashing_end
from mmtf.errors import ConfigError, shown
from mmtf.kernels.keras_internals import input_tensors_of, place_of, producer_of

INPUT = 0


@dataclasses.dataclass(frozen=True, eq=False)
class Node:
    """One operation.

    Attributes:
      operation: None for the images.
      inputs: numbers of the nodes whose outputs it takes; they come earlier.
      shape: shape of the output, without the first axis.
      layer: name of the Keras layer.
    """

    operation: Operation | None
    inputs: tuple[int, ...]
    shape: tuple[int, ...]
    layer: str


class Graph:
    """The operations of a classifier: Sequential, functional and nested models.

    Args:
      classifier: a Keras model that maps images to logits [N, classes], or a Classifier of one; the
        pixel range of a Classifier becomes an operation. The graph reads the model's weights
        whenever it is computed. As in a Classifier, a softmax at the end is left out, and one
        logit z becomes the two logits [0, z].
      dtype: precision of the operations: `float64` for proofs, `float32` for training.

    Attributes:
      dtype: as given.
      nodes: list of Node; node 0 is the image, the last one gives the logits.

    Raises:
      ConfigError: the model is subclassed, has several inputs, has several outputs of which
        none is chosen (`mmtf.Classifier(model, output=...)`), or has a layer that
        bounds do not support; or the Classifier has a preprocessing function.

    Example:
      >>> graph = Graph(
      ...     keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="relu")])
      ... )
      >>> [type(node.operation).__name__ for node in graph.nodes]
      ['NoneType', 'Affine', 'LeakyReLU']
    """

    def __init__(self, classifier: Any, dtype: str = "float64"):
        self.dtype = dtype
        self.classifier = classifier = as_classifier(classifier)
        model = classifier.keras_model
        if model is None:
            raise ConfigError(
                f"Expected a Keras model for bounds. Received: {shown(classifier.model)}."
            )
        if type(classifier).__call__ is not Classifier.__call__:
            raise ConfigError(
                "Expected a Keras model, or a mmtf.Classifier of one, for bounds. Received: a "
                f"{type(classifier).__name__}, which computes something else than its model."
            )
        if classifier.preprocessing is not None:
            raise ConfigError(
                "Expected a Classifier without a preprocessing function for bounds; make it layers "
                f"of the model. Received: {shown(classifier.preprocessing)}."
            )
        _require_one_input(model)
        output = symbolic_output(model, classifier.output)
        if output is None:
            raise unsupported(
                model,
                f" with {len(model.outputs)} outputs; choose one: mmtf.Classifier(output=...)",
            )
        self._end = squashing_end(model, classifier.output)
        self._compiled: dict[Hashable, Callable] = {}
        self.nodes = [Node(None, (), _shape_of(model.inputs[0]), "images")]
        start = INPUT
        if classifier.bounds != BOX:
            low, high = classifier.bounds
            rescaling = keras.layers.Rescaling((high - low) / 2, (high + low) / 2, name="bounds")
            start = self._add(rescaling, (INPUT,))
        last = self._expand(model, output, start)
        if self.nodes[last].shape == (1,):
            last = self._append(two_logits(), (last,), "two_logits")
        if last != self.last or len(self.nodes[last].shape) != 1:
            received = (None, *self.nodes[last].shape)
            raise ConfigError(f"Expected a model with logits [N, classes]. Received: {received}.")

    @property
    def num_classes(self) -> int:
        """Number of logits."""
        return self.nodes[-1].shape[0]

    @property
    def last(self) -> int:
        """Number of the node that gives the logits."""
        return len(self.nodes) - 1

    def activations(self) -> list[int]:
        """The nodes that are not affine."""
        affine = (Affine, type(None))
        return [i for i, node in enumerate(self.nodes) if not isinstance(node.operation, affine)]

    def activation(self, index: int) -> Any:
        """The operation of a node that is not affine."""
        return self.nodes[index].operation

    def ancestors(self, index: int) -> set[int]:
        """The nodes on which a node depends, with itself."""
        found = {index}
        for i in range(index, -1, -1):
            if i in found:
                found.update(self.nodes[i].inputs)
        return found

    def mixed(self) -> list[int | None]:
        """For each node that is affine in the image, how many operations that mix values it took.

        None for a node that depends on an activation.
        """
        found: list[int | None] = []
        for node in self.nodes:
            before = [found[i] for i in node.inputs]
            operation = node.operation
            affine = operation is None or isinstance(operation, Affine)
            if not affine or None in before:
                found.append(None)
            else:
                own = isinstance(operation, Affine) and operation.mixing
                found.append(sum(map(int, before)) + own + (len(before) > 1))  # type: ignore[arg-type]
        return found

    def forward(self, x: Tensor) -> Tensor:
        """Logits [N, C] for images [N, ...] in [-1, 1]."""
        values: list[Tensor] = [tf.cast(x, self.dtype)]
        for node in self.nodes[1:]:
            values.append(node.operation.forward(*[values[i] for i in node.inputs]))  # type: ignore[union-attr]
        return values[-1]

    def compiled(self, key: Hashable, function: Callable, *, free: bool = False) -> Callable:
        """`function` as a tf.function of nested tensors, traced once for any sizes of first axes.

        Args:
          key: identifies the function within this graph.
          function: of nested structures of tensors, whose other axes are always the same.
          free: the other axes may have any size, too.
        """

        def call(*arguments):
            if key not in self._compiled:
                specs = tf.nest.map_structure(_any_size if free else _any_rows, arguments)
                # A partial, because TensorFlow counts traces per line of code and would warn.
                traced = functools.partial(function)
                self._compiled[key] = tf.function(traced, input_signature=specs, autograph=False)
            return self._compiled[key](*arguments)

        return call

    def _add(self, layer, inputs):
        """Adds the operations of a layer; returns the number of its last node."""
        squashes = self._end is not None and layer is self._end.layer
        operations = without_activation if squashes else operations_of
        for operation in operations(layer, [self.nodes[i].shape for i in inputs], self.dtype):
            inputs = (self._append(operation, inputs, getattr(layer, "name", "")),)
        return inputs[0]

    def _append(self, operation, inputs, name):
        shapes = [(2, *self.nodes[i].shape) for i in inputs]
        out = tf.function(operation.forward, autograph=False).get_concrete_function(
            *[tf.TensorSpec(shape, self.dtype) for shape in shapes]
        )
        self.nodes.append(Node(operation, tuple(inputs), tuple(out.output_shapes[1:]), name))
        return len(self.nodes) - 1

    def _expand(self, model, output, start):
        """Adds the layers from a model's input, node `start`, to `output`; returns its node."""
        known = {id(model.inputs[0]): start}
        waiting = [output]
        while waiting:  # not recursive: a model can be deeper than Python's stack
            tensor = waiting[-1]
            if id(tensor) in known:
                waiting.pop()
                continue
            inputs = input_tensors_of(tensor)
            missing = [one for one in inputs if id(one) not in known]
            if missing:
                waiting += missing
                continue
            layer, sources = producer_of(tensor), tuple(known[id(one)] for one in inputs)
            if isinstance(layer, keras.Model):
                _require_one_input(layer)
                inner = layer.outputs[place_of(tensor)]
                known[id(tensor)] = self._expand(layer, inner, sources[0])
            elif not sources:
                raise unsupported(layer, " with a further input")
            else:
                known[id(tensor)] = self._add(layer, sources)
        return known[id(output)]


def _require_one_input(model):
    inputs = getattr(model, "inputs", None)
    if not inputs or not getattr(model, "outputs", None):
        raise unsupported(model, ", a subclassed or unbuilt model")
    if len(inputs) > 1:
        raise unsupported(model, f" with {len(inputs)} inputs")


def _shape_of(tensor):
    shape = tuple(tensor.shape[1:])
    if None in shape:
        raise ConfigError(f"Expected a model of one known input shape. Received: {tensor.shape}.")
    return shape


def _any_rows(tensor):
    tensor = tf.convert_to_tensor(tensor)
    shape = [None, *tensor.shape[1:]] if tensor.shape.rank else []
    return tf.TensorSpec(shape, tensor.dtype)


def _any_size(tensor):
    tensor = tf.convert_to_tensor(tensor)
    return tf.TensorSpec([None] * tensor.shape.rank, tensor.dtype)
