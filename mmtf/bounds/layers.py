"""Translates Keras layers to affine operations and activations."""

import dataclasses
import functools
import operator
from typing import Any

import keras
import tensorflow as tf

from mmtf.bounds.activations import Activation, LeakyReLU
from mmtf.bounds.affine import Affine
from mmtf.bounds.functions import FUNCTIONS, clipped, single
from mmtf.bounds.linear_layers import averaging, linear_of, moving, scaling
from mmtf.bounds.pooling import Maximum, windows
from mmtf.bounds.supported import (
    ACTIVATIONS,
    AVERAGING,
    IDENTITIES,
    KERNELS,
    MERGING,
    MOVING,
    POOLING,
    SCALING,
    unsupported,
)
from mmtf.kernels.keras_internals import operation_name

Operation = Affine | Activation
layers = keras.layers


def operations_of(
    layer: Any, shapes: list[tuple[int, ...]], dtype: str = "float64"
) -> list[Operation]:
    """The operations of one layer, in order; none for a layer that does nothing in inference.

    Args:
      layer: a built Keras layer or a keras.Operation of a functional model.
      shapes: shape of each input, without the first axis.
      dtype: precision of the operations.

    Raises:
      ConfigError: bounds do not support the layer; the message names it.
    """
    kind = type(layer)  # a subclass may compute something else
    if kind in IDENTITIES:
        return []
    for kinds, make in _MAKERS:
        if kind in kinds:
            return [*make(layer, shapes, dtype)]
    operation = operation_name(layer)
    if operation in ("Add", "Subtract") and len(shapes) == 2:  # x + y of two symbolic tensors
        return [_merge(operation)]
    raise unsupported(layer)


def without_activation(
    layer: Any, shapes: list[tuple[int, ...]], dtype: str = "float64"
) -> list[Operation]:
    """The operations of a layer without its activation, as of the softmax at a model's end.

    Args:
      layer: the layer of a `mmtf.classifiers.unwrapping.End`.
      shapes, dtype: see `operations_of`.
    """
    if type(layer) in KERNELS:
        return [linear_of(layer, shapes, dtype)]
    if type(layer) in (layers.Activation, layers.Softmax) or not isinstance(layer, layers.Layer):
        return []
    raise unsupported(layer)


def two_logits() -> Affine:
    """z -> [0, z]: a binary classifier of one logit as one of two classes."""
    return Affine(lambda z: tf.concat([tf.zeros_like(z), z], -1))


def activation_of(function: Any, layer: Any) -> list[Operation]:
    """The operation of an activation, such as keras.activations.relu or a layer."""
    if isinstance(function, keras.layers.Layer):
        return operations_of(function, [])
    if function is None:
        return []
    if function not in FUNCTIONS:
        raise unsupported(layer, f" with activation {getattr(function, '__name__', function)!r}")
    found = FUNCTIONS[function]
    return [] if found is None else [found]


def _kernel(layer, shapes, dtype):
    return [linear_of(layer, shapes, dtype), *activation_of(layer.activation, layer)]


def _merge(kind, layer=None):
    def add(*xs):
        return functools.reduce(operator.add, xs)

    if kind == "Add":
        return Affine(add, mixing=True)
    if kind == "Subtract":
        return Affine(operator.sub, operator.add, mixing=True)
    if kind == "Average":
        return Affine(lambda *xs: add(*xs) / len(xs), mixing=True)
    return Affine(lambda *xs: layer.call(list(xs)))


def _merging(layer, shapes, dtype):
    merged, rank = _merge(type(layer).__name__, layer), max(map(len, shapes))
    if all(len(shape) == rank for shape in shapes):
        return [merged]

    def of_one_rank(combine):
        def combined(*xs):
            # Keras' merging layers put missing axes behind that of the examples.
            whole = [[*[1] * (rank - len(shape)), *shape] for shape in shapes]
            return combine(*(tf.reshape(x, [-1, *one]) for x, one in zip(xs, whole, strict=True)))

        return combined

    absolute = merged.absolute and of_one_rank(merged.absolute)
    return [dataclasses.replace(merged, linear=of_one_rank(merged.linear), absolute=absolute)]


def _pooling(layer, shapes, dtype):
    if layer.data_format != "channels_last":
        raise unsupported(layer, " with data_format 'channels_first'")
    if isinstance(layer, layers.MaxPooling2D):
        return [windows(layer, shapes[0]), Maximum()]
    height, width, channels = shapes[0]

    def flat(z):
        return tf.transpose(tf.reshape(z, [-1, height * width, channels]), [0, 2, 1])

    found: list[Operation] = [Affine(flat), Maximum()]
    if layer.keepdims:
        found.append(Affine(lambda z: z[:, None, None, :]))
    return found


def _activation_layer(layer, shapes, dtype):
    if isinstance(layer, layers.Activation):
        return activation_of(layer.activation, layer)
    if isinstance(layer, layers.LeakyReLU):
        slope, most, threshold = layer.negative_slope, None, 0.0
    elif isinstance(layer, layers.ELU):
        if layer.alpha != 1.0:
            raise unsupported(layer, f" with alpha {layer.alpha}")
        return [FUNCTIONS[keras.activations.elu]]
    else:
        slope, most, threshold = layer.negative_slope, layer.max_value, layer.threshold
    if threshold != 0 or not 0 <= slope < 1 or (most is not None and slope):
        detail = f" with slope {slope}, max_value {most}, threshold {threshold}"
        raise unsupported(layer, detail)
    return [LeakyReLU(single(slope)) if most is None else clipped(0.0, single(most))]


_MAKERS = (
    (KERNELS, _kernel),
    (MOVING, moving),
    (AVERAGING, averaging),
    (MERGING, _merging),
    (POOLING, _pooling),
    (SCALING, scaling),
    (ACTIVATIONS, _activation_layer),
)
