"""Everything that this package uses of Keras beyond its public interface.

Each function hides one private name of Keras, so that a new version of Keras can break this file
alone; tests/kernels/test_keras_internals.py says which name has gone.
"""

from typing import Any

import keras
from keras.src.backend.common.global_state import get_global_attribute
from keras.src.random.seed_generator import GLOBAL_SEED_GENERATOR, global_seed_generator


def layers_of(model: Any, *, include_self: bool = False) -> list[keras.layers.Layer]:
    """The layers of a model or layer at any depth: those of models inside it, too.

    Args:
      model: a Keras model or layer. Other callables have no layers.
      include_self: whether `model` itself is the first of them.

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
    """The layer or operation whose output a symbolic tensor of a functional model is.

    Args:
      tensor: one of `model.inputs`, `model.outputs` or `input_tensors_of(...)`.

    Returns:
      A keras.layers.Layer or a keras.Operation; None for what is not a symbolic tensor of Keras.

    Example:
      >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, name="logits")])
      >>> producer_of(model.outputs[0]).name
      'logits'
    """
    history = getattr(tensor, "_keras_history", None)
    return None if history is None else history.operation


def input_tensors_of(tensor: Any) -> list[Any]:
    """The symbolic tensors from which its producer computes a symbolic tensor.

    Args:
      tensor: of a functional model, see `producer_of`.

    Example:
      >>> inputs = keras.Input((2,))
      >>> outputs = keras.layers.Dense(3)(inputs)
      >>> [producer_of(one) is producer_of(inputs) for one in input_tensors_of(outputs)]
      [True]
    """
    history = tensor._keras_history
    return list(history.operation._inbound_nodes[history.node_index].input_tensors)


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


def make_global_seed_generator() -> None:
    """Makes Keras' generator of the layers without one of their own, where there is none yet.

    To be called outside of what tf.function traces: inside, its variable cannot be made.
    """
    global_seed_generator()


def global_seed_state() -> keras.Variable | None:
    """The state of Keras' global seed generator; None where this thread has none yet."""
    generator = get_global_attribute(GLOBAL_SEED_GENERATOR)
    return None if generator is None else generator.state
