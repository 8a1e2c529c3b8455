"""Affine Keras layers as operations: kernels, moved and averaged values, and scales.

The weights are read whenever an operation is computed, so a later training step is seen.
"""

import contextlib
import functools
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from mmtf.bounds.affine import Affine
from mmtf.bounds.functions import single
from mmtf.bounds.supported import unsupported
from mmtf.kernels import optimized

Shapes = list[tuple[int, ...]]
layers = keras.layers


def linear_of(layer: Any, shapes: Shapes, dtype: str = "float64") -> Affine:
    """A layer with kernels, as its twin of another precision without activation.

    Args:
      layer: a built layer of `mmtf.bounds.supported.KERNELS`.
      shapes: of its one input.
      dtype: precision of the twin.
    """
    if getattr(layer, "lora_enabled", False) or getattr(layer, "quantization_mode", None):
        raise unsupported(layer, " with LoRA or quantized weights")
    plain = {"use_bias": False, "activation": None, "activity_regularizer": None}
    first = _channels_first(layer)
    last = {"data_format": "channels_last"} if first else {}
    config = {**layer.get_config(), **plain, **last, "dtype": dtype, "trainable": True}
    twin = type(layer).from_config(config)
    shape = (*shapes[0][1:], shapes[0][0]) if first else shapes[0]
    twin.build((None, *shape))
    kernels = [weight for weight in layer.weights if weight is not layer.bias]

    def apply(change: Callable, x: tf.Tensor) -> tf.Tensor:
        values = [change(tf.cast(kernel.value, dtype)) for kernel in kernels]
        # Bounds in float32 are those of training, whose gradients pass through the inputs.
        with optimized(twin, "bounds") if dtype == "float32" else contextlib.nullcontext():
            return _in_channels_last(first, lambda z: twin.stateless_call(values, [], z)[0], x)

    def bias():
        value = tf.cast(layer.bias.value, dtype)
        return tf.reshape(value, [-1] + [1] * len(layer.kernel_size)) if first else value

    return Affine(
        functools.partial(apply, tf.identity),
        functools.partial(apply, tf.abs),
        None if layer.bias is None else bias,
        mixing=True,
    )


def moving(layer: Any, shapes: Shapes, dtype: str) -> list[Affine]:
    """A layer that moves values or adds zeros."""
    if getattr(layer, "interpolation", "nearest") != "nearest":
        raise unsupported(layer, f" with interpolation {layer.interpolation!r}")
    return [Affine(layer.call)]


def averaging(layer: Any, shapes: Shapes, dtype: str) -> list[Affine]:
    """A layer that averages values."""
    pools = isinstance(layer, layers.AveragePooling1D | layers.AveragePooling2D)
    if not (pools and _channels_first(layer)):
        return [Affine(layer.call, mixing=True)]
    twin = type(layer).from_config({**layer.get_config(), "data_format": "channels_last"})
    return [Affine(functools.partial(_in_channels_last, True, twin.call), mixing=True)]


def _channels_first(layer):
    return getattr(layer, "data_format", None) == "channels_first"


def _in_channels_last(first, function, x):
    """Applies a function of channels-last tensors; CPUs compute few others in float64."""
    if not first:
        return function(x)
    rank = x.shape.rank
    moved = function(tf.transpose(x, [0, *range(2, rank), 1]))
    return tf.transpose(moved, [0, rank - 1, *range(1, rank - 1)])


def scaling(layer: Any, shapes: Shapes, dtype: str) -> list[Affine]:
    """y = scale x + offset for each value, with the statistics of inference."""

    def scale_and_offset():
        if isinstance(layer, layers.Rescaling):
            return tf.constant(single(layer.scale), dtype), tf.constant(single(layer.offset), dtype)
        if isinstance(layer, layers.Normalization):
            mean, variance = tf.cast(layer.mean, dtype), tf.cast(layer.variance, dtype)
            deviation = tf.maximum(tf.sqrt(variance), single(keras.backend.epsilon()))
            # One example, so that the batch axis of mean stays 1.
            return (deviation, mean) if layer.invert else (1.0 / deviation, -mean / deviation)
        shape = [1] * (len(shapes[0]) + 1)
        shape[layer.axis] = shapes[0][layer.axis - 1 if layer.axis > 0 else layer.axis]
        mean, variance = layer.moving_mean, layer.moving_variance
        scale = 1.0 / tf.sqrt(tf.cast(variance.value, dtype) + single(layer.epsilon))
        if layer.scale:
            scale *= tf.cast(layer.gamma.value, dtype)
        offset = -tf.cast(mean.value, dtype) * scale
        if layer.center:
            offset += tf.cast(layer.beta.value, dtype)
        return tf.reshape(scale, shape), tf.reshape(offset, shape)

    return [
        Affine(
            lambda x: x * scale_and_offset()[0],
            lambda r: r * tf.abs(scale_and_offset()[0]),
            lambda: scale_and_offset()[1],
        )
    ]
