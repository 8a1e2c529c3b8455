"""All uses of Keras' private interface in this package.

Each function wraps one private name of Keras, so that a new version of Keras can break only this
file; tests/kernels/test_keras_internals.py shows which name is missing.
"""

import contextlib
from typing import Any

import keras
from keras.src.backend.common.global_state import get_global_attribute
from keras.src.backend.common.variables import AutocastScope
from keras.src.random.seed_generator import GLOBAL_SEED_GENERATOR, global_seed_generator

from mmtf.kernels.patching import patched


def layers_of(model: Any, *, include_self: bool = False) -> list[keras.layers.Layer]:
    """All layers inside a model or layer, at any depth.

    Args:
      model: a Keras model or layer. Other callables have no layers.
      include_self: whether the list starts with `model` itself.

    Example:
      >>> inner = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
      >>> outer = keras.Sequential([inner, keras.layers.ReLU()])
      >>> inner in layers_of(outer), inner.layers[0] in layers_of(outer)
      (True, True)
    """
    if not isinstance(model, keras.layers.Layer):
        return []
    return list(model._flatten_layers(include_self=include_self))


def producer_of(tensor: Any) -> Any:
    """The layer or operation that outputs a symbolic tensor of a functional model.

    Args:
      tensor: one of `model.inputs`, `model.outputs` or `input_tensors_of(...)`.

    Returns:
      A keras.layers.Layer or a keras.Operation; None if `tensor` is not a symbolic Keras tensor.

    Example:
      >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, name="logits")])
      >>> producer_of(model.outputs[0]).name
      'logits'
    """
    history = getattr(tensor, "_keras_history", None)
    return None if history is None else history.operation


def input_tensors_of(tensor: Any) -> list[Any]:
    """The inputs of the layer or operation that outputs a symbolic tensor.

    Args:
      tensor: a symbolic tensor of a functional model, see `producer_of`.

    Example:
      >>> inputs = keras.Input((2,))
      >>> outputs = keras.layers.Dense(3)(inputs)
      >>> [producer_of(one) is producer_of(inputs) for one in input_tensors_of(outputs)]
      [True]
    """
    history = tensor._keras_history
    return list(history.operation._inbound_nodes[history.node_index].input_tensors)


def operation_name(operation: Any) -> str | None:
    """Class name of an operation of keras.ops, such as `Add`; None for layers and anything else.

    Example:
      >>> total = keras.Input((2,)) + keras.Input((2,))
      >>> operation_name(producer_of(total)), operation_name(keras.layers.Add())
      ('Add', None)
    """
    kind = type(operation)
    return kind.__name__ if kind.__module__.startswith("keras.src.ops.") else None


def adam_slots(optimizer: keras.optimizers.Adam, variable: Any) -> tuple[Any, Any]:
    """Adam's running means of a variable's gradient and of its square.

    Args:
      optimizer: built for the variable.
      variable: a keras.Variable, or its tf.Variable of one replica.

    Returns:
      Two variables (m, v) of keras.Variable.
    """
    index = optimizer._get_variable_index(variable)
    return optimizer._momentums[index], optimizer._velocities[index]


def variables_trained_by(optimizer: keras.optimizers.Optimizer) -> list[keras.Variable]:
    """The variables that an optimizer was built for; none before."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    return list(inner._trainable_variables)


def new_of_same_config(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    """An optimizer of the same class and config, but for the learning rate, before its first step.

    It is built for the same variables where the given one is built.
    """
    rate: Any = 0.5
    with patched([(optimizer, "_learning_rate", rate)]):  # not every schedule has a config
        made = type(optimizer).from_config(optimizer.get_config())
    if optimizer.built:
        made.build(variables_trained_by(optimizer))
    return made


def make_global_seed_generator() -> None:
    """Creates Keras' global seed generator, used by layers without their own, if it is missing.

    Call it outside of tf.function: its variable cannot be created while a function is traced.
    """
    global_seed_generator()


def global_seed_state() -> keras.Variable | None:
    """The state of Keras' global seed generator; None if this thread has none yet."""
    generator = get_global_attribute(GLOBAL_SEED_GENERATOR)
    return None if generator is None else generator.state


def output_structure_of(model: keras.Model) -> Any:
    """The symbolic outputs of a functional or Sequential model: a tensor, list, tuple or dict.

    Returns:
      None for a subclassed model, or a Sequential one that is not built.

    Example:
      >>> inputs = keras.Input((2,))
      >>> model = keras.Model(inputs, {"logits": keras.layers.Dense(3)(inputs)})
      >>> output_structure_of(model)["logits"].shape
      (None, 3)
    """
    functional = getattr(model, "_functional", None) or model
    return getattr(functional, "_outputs_struct", None)


def place_of(tensor: Any) -> int:
    """Which output of its layer or operation a symbolic tensor is, from 0."""
    return tensor._keras_history.tensor_index


def uses_of(model: keras.Model, operation: keras.Operation) -> int:
    """How often a model, and the functional models inside it, call a layer or operation.

    Example:
      >>> inputs, dense = keras.Input((2,)), keras.layers.Dense(2)
      >>> uses_of(keras.Model(inputs, dense(dense(inputs))), dense)
      2
    """
    layers = layers_of(model, include_self=True)
    graphs = [getattr(layer, "_functional", None) or layer for layer in layers]
    nodes = [
        node
        for graph in dict.fromkeys(graphs)  # a Sequential and its functional model are one graph
        for level in getattr(graph, "_nodes_by_depth", {}).values()
        for node in level
    ]
    return sum(node.operation is operation for node in nodes)


def casting_variables(dtype: str) -> contextlib.AbstractContextManager:
    """Context manager: inside it, layers cast their floating-point variables to `dtype` in calls.

    Keras does so by itself only for layers whose policy is mixed. Layers of another computing
    type cast to that.
    """
    return AutocastScope(dtype)
