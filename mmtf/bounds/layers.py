"""Translates Keras layers to affine operations and activations, in float64.

The weights are read whenever an operation is computed, so a later training step is seen.
"""

import functools
import math
import operator
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mmtf.bounds.activations import Activation, LeakyReLU, Smooth, SShaped
from mmtf.bounds.affine import Affine
from mmtf.bounds.pooling import Maximum, windows
from mmtf.errors import ConfigError

DTYPE = tf.float64
Operation = Affine | Activation
layers, activations = keras.layers, keras.activations

# Layers that do nothing when called with training=False.
IDENTITIES = (
    layers.ActivityRegularization,
    layers.AlphaDropout,
    layers.Dropout,
    layers.GaussianDropout,
    layers.GaussianNoise,
    layers.Identity,
    layers.SpatialDropout1D,
    layers.SpatialDropout2D,
    layers.SpatialDropout3D,
)
# Linear layers with kernels; a float64 twin computes them.
KERNELS = (
    layers.Conv1D,
    layers.Conv2D,
    layers.Conv2DTranspose,
    layers.Conv3D,
    layers.Dense,
    layers.DepthwiseConv2D,
    layers.SeparableConv2D,
)
# Layers without weights that only move values, and those that average them.
MOVING = (
    layers.Cropping1D,
    layers.Cropping2D,
    layers.Flatten,
    layers.Permute,
    layers.Reshape,
    layers.UpSampling2D,
    layers.ZeroPadding1D,
    layers.ZeroPadding2D,
)
AVERAGING = (
    layers.AveragePooling1D,
    layers.AveragePooling2D,
    layers.GlobalAveragePooling1D,
    layers.GlobalAveragePooling2D,
)
MERGING = (layers.Add, layers.Average, layers.Concatenate, layers.Subtract)
POOLING = (layers.GlobalMaxPooling2D, layers.MaxPooling2D)
SCALING = (layers.BatchNormalization, layers.Normalization, layers.Rescaling)
ACTIVATIONS = (layers.Activation, layers.ELU, layers.LeakyReLU, layers.ReLU)


def single(value: Any) -> Any:
    """A setting of a layer in float64, rounded to float32 as the layer computes with it."""
    rounded = np.asarray(value, np.float32).astype(np.float64)
    return rounded if rounded.ndim else float(rounded)


# The minimizers and the bounds of |f''| are checked in tests/bounds/test_activations.py.
GELU = Smooth(lambda z: tf.nn.gelu(z, approximate=False), -0.7517915246935645, 0.798)
SILU = Smooth(lambda z: z * tf.sigmoid(z), -1.2784645427610738, 0.5)
SIGMOID = SShaped(tf.sigmoid, lambda z: tf.sigmoid(z) * tf.sigmoid(-z))
FUNCTIONS: dict[Any, Activation | None] = {
    activations.linear: None,
    activations.relu: LeakyReLU(),
    activations.leaky_relu: LeakyReLU(single(0.2)),
    activations.tanh: SShaped(tf.tanh, lambda z: 1.0 - tf.tanh(z) ** 2),
    activations.sigmoid: SIGMOID,
    activations.softplus: SShaped(tf.nn.softplus, tf.sigmoid, math.inf),
    activations.softsign: SShaped(tf.nn.softsign, lambda z: (1.0 + tf.abs(z)) ** -2),
    activations.gelu: GELU,
    activations.silu: SILU,
}


def clipped(least: float, most: float) -> SShaped:
    """z clipped to [least, most], as relu6: its slope is 1 inside and 0 outside."""
    return SShaped(
        lambda z: tf.clip_by_value(z, tf.cast(least, z.dtype), tf.cast(most, z.dtype)),
        lambda z: tf.cast((z > least) & (z < most), z.dtype),
        (least + most) / 2,
    )


FUNCTIONS[activations.relu6] = clipped(0.0, 6.0)
FUNCTIONS[activations.hard_tanh] = clipped(-1.0, 1.0)
# x -> max(x, 0) + min(e^x - 1, 0) is convex, its slope at -0 is 1.
FUNCTIONS[activations.elu] = SShaped(tf.nn.elu, lambda z: tf.exp(tf.minimum(z, 0.0)), math.inf)


def operations_of(layer: Any, shapes: list[tuple[int, ...]]) -> list[Operation]:
    """The operations of one layer, in order; none for a layer that does nothing in inference.

    Args:
      layer: a built Keras layer or a keras.Operation of a functional model.
      shapes: shape of each input, without the first axis.

    Raises:
      ConfigError: bounds do not support the layer; the message names it.
    """
    kind = type(layer)  # a subclass may compute something else
    if kind in IDENTITIES:
        return []
    for kinds, make in _MAKERS:
        if kind in kinds:
            return make(layer, shapes)
    operation = kind.__module__.startswith("keras.src.ops.") and len(shapes) == 2
    if operation and kind.__name__ in ("Add", "Subtract"):  # x + y of two symbolic tensors
        return [_merge(kind.__name__)]
    raise unsupported(layer)


def without_activation(layer: Any, shapes: list[tuple[int, ...]]) -> list[Operation]:
    """The operations of a layer without its activation, as of the softmax at a model's end.

    Args:
      layer: the layer of a `mmtf.classifiers.unwrapping.End`.
      shapes: see `operations_of`.
    """
    if type(layer) in KERNELS:
        return [_linear(layer, shapes)]
    if type(layer) in (layers.Activation, layers.Softmax) or not isinstance(layer, layers.Layer):
        return []
    raise unsupported(layer)


def two_logits() -> Affine:
    """z -> [0, z]: a binary classifier of one logit as one of two classes."""
    return Affine(lambda z: tf.concat([tf.zeros_like(z), z], -1))


def unsupported(layer: Any, detail: str = "") -> ConfigError:
    """The error for a layer that bounds do not support."""
    named = f"{type(layer).__name__} {getattr(layer, 'name', '')!r}{detail}"
    known = sorted(kind.__name__ for kind in SUPPORTED)
    return ConfigError(
        f"Expected layers that bounds support ({', '.join(known)}). Received: {named}."
    )


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


def _kernel(layer, shapes):
    return [_linear(layer, shapes), *activation_of(layer.activation, layer)]


def _linear(layer, shapes):
    """A layer with kernels, as its float64 twin without bias and activation."""
    if getattr(layer, "lora_enabled", False) or getattr(layer, "quantization_mode", None):
        raise unsupported(layer, " with LoRA or quantized weights")
    plain = {"use_bias": False, "activation": None, "activity_regularizer": None}
    config = {**layer.get_config(), **plain, "dtype": "float64", "trainable": True}
    twin = type(layer).from_config(config)
    twin.build((None, *shapes[0]))
    kernels = [weight for weight in layer.weights if weight is not layer.bias]

    def apply(change: Callable, x: tf.Tensor) -> tf.Tensor:
        values = [change(tf.cast(kernel.value, DTYPE)) for kernel in kernels]
        return twin.stateless_call(values, [], x)[0]

    def bias():
        value = tf.cast(layer.bias.value, DTYPE)
        if getattr(layer, "data_format", "") == "channels_first":
            value = tf.reshape(value, [-1] + [1] * (len(layer.kernel_size)))
        return value

    return Affine(
        functools.partial(apply, tf.identity),
        functools.partial(apply, tf.abs),
        None if layer.bias is None else bias,
        mixing=True,
    )


def _moving(layer, shapes):
    if getattr(layer, "interpolation", "nearest") != "nearest":
        raise unsupported(layer, f" with interpolation {layer.interpolation!r}")
    return [Affine(layer.call)]


def _averaging(layer, shapes):
    return [Affine(layer.call, mixing=True)]


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


def _merging(layer, shapes):
    return [_merge(type(layer).__name__, layer)]


def _pooling(layer, shapes):
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


def _scaling(layer, shapes):
    """y = scale x + offset for each value, with the statistics of inference."""

    def scale_and_offset():
        if isinstance(layer, layers.Rescaling):
            return tf.constant(single(layer.scale), DTYPE), tf.constant(single(layer.offset), DTYPE)
        if isinstance(layer, layers.Normalization):
            mean, variance = tf.cast(layer.mean, DTYPE), tf.cast(layer.variance, DTYPE)
            deviation = tf.maximum(tf.sqrt(variance), single(keras.backend.epsilon()))
            # One example, so that the batch axis of mean stays 1.
            return (deviation, mean) if layer.invert else (1.0 / deviation, -mean / deviation)
        shape = [1] * (len(shapes[0]) + 1)
        shape[layer.axis] = shapes[0][layer.axis - 1 if layer.axis > 0 else layer.axis]
        mean, variance = layer.moving_mean, layer.moving_variance
        scale = 1.0 / tf.sqrt(tf.cast(variance.value, DTYPE) + single(layer.epsilon))
        if layer.scale:
            scale *= tf.cast(layer.gamma.value, DTYPE)
        offset = -tf.cast(mean.value, DTYPE) * scale
        if layer.center:
            offset += tf.cast(layer.beta.value, DTYPE)
        return tf.reshape(scale, shape), tf.reshape(offset, shape)

    return [
        Affine(
            lambda x: x * scale_and_offset()[0],
            lambda r: r * tf.abs(scale_and_offset()[0]),
            lambda: scale_and_offset()[1],
        )
    ]


def _activation_layer(layer, shapes):
    if isinstance(layer, layers.Activation):
        return activation_of(layer.activation, layer)
    if isinstance(layer, layers.LeakyReLU):
        slope, most, threshold = layer.negative_slope, None, 0.0
    elif isinstance(layer, layers.ELU):
        if layer.alpha != 1.0:
            raise unsupported(layer, f" with alpha {layer.alpha}")
        return [FUNCTIONS[activations.elu]]
    else:
        slope, most, threshold = layer.negative_slope, layer.max_value, layer.threshold
    if threshold != 0 or not 0 <= slope < 1 or (most is not None and slope):
        detail = f" with slope {slope}, max_value {most}, threshold {threshold}"
        raise unsupported(layer, detail)
    return [LeakyReLU(single(slope)) if most is None else clipped(0.0, single(most))]


_MAKERS = (
    (KERNELS, _kernel),
    (MOVING, _moving),
    (AVERAGING, _averaging),
    (MERGING, _merging),
    (POOLING, _pooling),
    (SCALING, _scaling),
    (ACTIVATIONS, _activation_layer),
)
SUPPORTED = (*IDENTITIES, *(kind for kinds, _ in _MAKERS for kind in kinds))
