"""Narrow dense layers as elementwise products and sums that XLA fuses."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import keras
import tensorflow as tf

from mmtf.kernels.bilinear import Bilinear
from mmtf.kernels.keras_internals import layers_of
from mmtf.kernels.patching import kernel_tensor, patched

# Maximum number of outputs of a narrow layer.
NARROW = 16


def narrow_dense_layers(model: Any) -> AbstractContextManager[None]:
    """Context manager: inside it, narrow dense layers are multiplications and sums.

    The logits of ten classes are float32 even if all other layers compute in bfloat16. The three
    matrix products of such a layer have so few rows or columns that a library kernel leaves most of
    a GPU idle. XLA fuses multiplications and sums with the operations around them, and computes
    them in full float32, not in TF32.

    Args:
      model: a built Keras model. Replaced are its Dense layers of at most 16 units that compute in
        float32, unless quantized. Other callables stay as they are.
    """
    return patched(
        (layer, "call", dense_call(layer, SUMS))
        for layer in layers_of(model)
        if type(layer) is keras.layers.Dense
        and layer.built
        and layer.quantization_mode is None
        and layer.compute_dtype == "float32"
        and layer.units <= NARROW
    )


def dense_call(layer: keras.layers.Dense, product: Bilinear, *, fused: bool = False) -> Callable:
    """A `call` for a Dense layer that multiplies by `product`.

    Inputs that are not [N, K] of the kernel's type are passed to the layer's own `call`.

    Args:
      layer: built.
      product: the product of inputs and kernel.
      fused: see `Bilinear`.

    Returns:
      A function of (inputs, training), with `product` as an attribute.

    Example:
      >>> layer = keras.layers.Dense(1, kernel_initializer="ones")
      >>> layer.build((None, 3))
      >>> float(dense_call(layer, SUMS)(tf.ones((1, 3)))[0, 0])
      3.0
    """

    def call(inputs, training=None):
        kernel = kernel_tensor(layer.kernel)
        if inputs.shape.rank != 2 or inputs.dtype != kernel.dtype:
            return type(layer).call(layer, inputs, training=training)
        y = product(tf.convert_to_tensor(inputs), kernel, fused=fused)
        if layer.use_bias:
            y = keras.ops.add(y, layer.bias)
        return y if layer.activation is None else layer.activation(y)

    call.product = product  # type: ignore[attr-defined]
    return call


def _rows(kernel: tf.Tensor) -> tf.Tensor:
    """[K, D] -> [1, D, K]: what is summed over is contiguous in memory."""
    return tf.transpose(kernel)[None]


SUMS = Bilinear(
    forward=lambda x, kernel: tf.reduce_sum(x[:, None, :] * _rows(kernel), 2),
    to_inputs=lambda upstream, kernel: tf.reduce_sum(upstream[:, :, None] * _rows(kernel), 1),
    to_kernel=lambda x, upstream: tf.transpose(
        tf.reduce_sum(x[:, None, :] * upstream[:, :, None], 0)
    ),
)
