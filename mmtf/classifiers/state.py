"""State that layers compute with but do not keep in Keras' weights: constants and tf.Variables."""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mmtf.kernels.keras_internals import layers_of

State = dict[str, Any]


def constants_of(model: Any) -> State:
    """Arrays and tensors that layers hold as attributes, by the layer's place and their name.

    Of a layer that derives them from its weights (`finalize_state`, as the mean and variance of an
    adapted Normalization), they are left out.

    Args:
      model: a Keras model; other callables have none.

    Example:
      >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
      >>> model.layers[0].factor = np.array([2.0])
      >>> [value.tolist() for value in constants_of(model).values()]
      [[2.0]]
    """
    return {
        name: np.asarray(value)
        for name, value, layer in _attributes(model)
        if not _derives(layer) and _is_constant(value)
    }


def variables_of(model: Any) -> dict[str, tf.Variable]:
    """The tf.Variables that layers hold as attributes, which Keras neither trains nor saves."""
    return {name: value for name, value, _ in _attributes(model) if isinstance(value, tf.Variable)}


def lost_variable(model: keras.Model) -> str | None:
    """A line on a trainable tf.Variable of a layer, which Keras neither trains nor saves; or None.

    Example:
      >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, name="last")])
      >>> model.layers[0].factor = tf.Variable(2.0)
      >>> lost_variable(model)[:40]
      'layer 2, Dense.factor is a tf.Variable, '
    """
    lost = [name for name, one in variables_of(model).items() if one.trainable]
    if not lost:
        return None
    return (
        f"{lost[0]} is a tf.Variable, which Keras neither trains nor saves: use "
        "self.add_weight, or for a constant trainable=False."
    )


def derive(model: Any) -> None:
    """Derives anew what layers compute from their weights, after these were restored.

    Keras does so itself where it loads a file of its own, but not after a tf.train.Checkpoint or
    set_weights: an adapted Normalization would go on with its old mean and variance.
    """
    for layer in layers_of(model, include_self=True):
        if _derives(layer):
            layer.finalize_state()


@contextlib.contextmanager
def holding(variables: list[tf.Variable], values: list[Any]) -> Iterator[None]:
    """Context manager: inside it, tf.Variables have other values. They are assigned and set back.

    Args:
      variables: not Keras' own, for which `mmtf.functional.substitute` assigns nothing.
      values: one for each.
    """
    before = [tf.identity(one) for one in variables]
    try:
        for one, value in zip(variables, values, strict=True):
            one.assign(value)
        yield
    finally:
        for one, value in zip(variables, before, strict=True):
            one.assign(value)


def _attributes(model) -> Iterator[tuple[str, Any, keras.layers.Layer]]:
    """(name, value, layer) of each array or variable, in lists and dicts, too."""
    for number, layer in enumerate(layers_of(model, include_self=True)):
        for name, held in vars(layer).items():
            parts = [] if name.startswith("_self_") else list(_parts(held))  # TensorFlow's own
            for place, value in enumerate(parts):
                index = f"[{place}]" if len(parts) > 1 else ""
                # Numbered, not named: Keras numbers names within a process.
                yield f"layer {number}, {type(layer).__name__}.{name}{index}", value, layer


def _parts(held) -> Iterator[Any]:
    if isinstance(held, tf.Tensor | tf.Variable | np.ndarray):
        yield held
    elif isinstance(held, list | tuple | dict):
        for one in held.values() if isinstance(held, dict) else held:
            yield from _parts(one)


def _is_constant(value) -> bool:
    if isinstance(value, tf.Variable):
        return False
    return isinstance(value, np.ndarray) or hasattr(value, "numpy")  # not a graph's tensor


def _derives(layer) -> bool:
    given = getattr(layer, "input_mean", None) is not None  # Normalization(mean=...)
    return callable(getattr(layer, "finalize_state", None)) and not given
