"""Max-pooling and ReLU layers with fast second derivatives."""

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import keras
import tensorflow as tf

from mmtf.kernels.keras_internals import layers_of
from mmtf.kernels.max_pool import max_pool, xla_max_pool
from mmtf.kernels.patching import patched


def cpu_second_derivatives(model: Any) -> AbstractContextManager[None]:
    """Context manager: inside it, max-pooling and ReLU layers have fast second derivatives on CPUs.

    For penalties on an input gradient. TensorFlow's second derivative of max pooling is slow
    (`mmtf.kernels.max_pool`). For both kinds of layers it also adds an array of zeros, the second
    derivative of a piecewise linear function, to the gradient. Values and derivatives are equal to
    the bit.

    Args:
      model: a built Keras model. Replaced are its channels-last MaxPooling2D layers and its ReLU
        layers without options. Other callables stay as they are.
    """
    changes = []
    for layer in layers_of(model):
        # Layers that another context has replaced are left unchanged.
        if "call" not in vars(layer):
            if is_max_pool(layer):
                changes.append((layer, "call", _pool_call(layer, max_pool)))
            elif is_plain_relu(layer):
                changes.append((layer, "call", relu))
    return patched(changes)


def xla_second_derivatives(model: Any) -> AbstractContextManager[None]:
    """Context manager: inside it, XLA's second derivatives of max pooling work in bfloat16, too.

    Args:
      model: a built Keras model. Replaced are its channels-last MaxPooling2D layers. Other
        callables stay as they are.
    """
    return patched(
        (layer, "call", _pool_call(layer, xla_max_pool))
        for layer in layers_of(model)
        if is_max_pool(layer)
    )


def is_max_pool(layer: Any) -> bool:
    """Whether `layer` is a channels-last MaxPooling2D, not of a subclass."""
    return type(layer) is keras.layers.MaxPooling2D and layer.data_format == "channels_last"


def is_plain_relu(layer: Any) -> bool:
    """Whether `layer` is a ReLU without slope, threshold or maximum, not of a subclass."""
    return (
        type(layer) is keras.layers.ReLU
        and layer.max_value is None
        and not layer.negative_slope
        and not layer.threshold
    )


def relu(x: tf.Tensor) -> tf.Tensor:
    """tf.nn.relu(x), whose second derivative adds no zeros to the gradient.

    Example:
      >>> relu(tf.constant([-1.0, 2.0])).numpy().tolist()
      [0.0, 2.0]
    """

    @tf.custom_gradient
    def forward(x):
        y = tf.nn.relu(x)

        @tf.custom_gradient
        def masked(upstream):
            """Its own transpose."""
            return tf.raw_ops.ReluGrad(gradients=upstream, features=y), masked

        return y, masked

    return forward(x)


def _pool_call(layer: keras.layers.MaxPooling2D, pool: Callable) -> Callable:
    return functools.partial(
        pool, size=layer.pool_size, strides=layer.strides, padding=layer.padding.upper()
    )
