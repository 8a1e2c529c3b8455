"""Temporary replacement of the operations of layers."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras
import tensorflow as tf

_ABSENT = object()


@contextlib.contextmanager
def patched(changes: Iterable[tuple[Any, str, Callable]]) -> Iterator[None]:
    """Context manager: inside it, the named attributes of objects are replaced.

    Args:
      changes: (layer or optimizer, name of the attribute, its replacement); each pair once.

    Example:
      >>> layer = keras.layers.ReLU()
      >>> with patched([(layer, "call", lambda inputs: inputs + 1.0)]):
      ...     float(layer(tf.constant(2.0)))
      3.0
      >>> float(layer(tf.constant(2.0)))
      2.0
    """
    changes = list(changes)
    before = [vars(layer).get(name, _ABSENT) for layer, name, _ in changes]
    for layer, name, value in changes:
        vars(layer)[name] = value  # not setattr: Keras would track it
    try:
        yield
    finally:
        for (layer, name, _), old in zip(changes, before, strict=True):
            if old is _ABSENT:
                del vars(layer)[name]
            else:
                vars(layer)[name] = old


def kernel_tensor(kernel: Any) -> tf.Tensor:
    """A layer's kernel, a Keras variable, as a tensor in the type that the layer computes in."""
    return tf.convert_to_tensor(keras.ops.convert_to_tensor(kernel))
