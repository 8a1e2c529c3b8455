"""Dense layers by other products than TensorFlow's: on CPUs, and for XLA."""

import dataclasses

import keras
import tensorflow as tf

from mmtf.kernels.bilinear import MATMUL, Bilinear
from mmtf.kernels.replaced import replaced

# Outputs of a narrow layer, at most.
NARROW = 16
# Numbers in the kernel of a large layer, at least.
LARGE = 2**16


def narrow_products(model: keras.Model):
    """While open, what is traced of `model` has its narrow dense layers as sums of products.

    For XLA. The logits of ten classes are float32 also where all else is bfloat16, and their three
    matrix products have so few rows or columns that a library's kernel keeps a GPU waiting. As
    multiplications and sums XLA fuses them with what surrounds them, and they are float32 in
    earnest, not TF32.

    Args:
      model: built; of its layers, every Dense over vectors of at most 16 units that computes in
        float32 is meant, unless quantized. Other callables are left as they are.
    """
    return replaced(
        (layer, "call", dense_call(layer, SUMS))
        for layer in _dense_layers(model)
        if layer.units <= NARROW
    )


def large_products(model: keras.Model):
    """While open, what is traced of `model` differentiates large dense layers faster, on CPUs.

    The gradient in a layer's inputs is a product with its kernel transposed. TensorFlow's MatMul
    writes such a kernel anew before it multiplies, in float32; its batched product reads it as it
    is. Where there is a GPU, nothing is changed.

    Args:
      model: built; of its layers, every Dense over vectors with a kernel of at least 65,536 numbers
        that computes in float32 is meant, unless quantized. Other callables are left as they are.
    """
    meant = () if tf.config.list_logical_devices("GPU") else _dense_layers(model)
    return replaced(
        (layer, "call", dense_call(layer, UNTURNED))
        for layer in meant
        if layer.kernel.shape.num_elements() >= LARGE
    )


def dense_call(layer, product: Bilinear, **options):
    """The `call` of a Dense layer by `product`.

    Of other inputs than vectors of the kernel's type its own.

    Attributes:
      product: the same.
    """

    def call(inputs, training=None):
        kernel = tf.convert_to_tensor(keras.ops.convert_to_tensor(layer.kernel))
        if inputs.shape.rank != 2 or inputs.dtype != kernel.dtype:
            return type(layer).call(layer, inputs, training=training)
        y = product(tf.convert_to_tensor(inputs), kernel, **options)
        if layer.use_bias:
            y = keras.ops.add(y, layer.bias)
        return y if layer.activation is None else layer.activation(y)

    call.product = product  # type: ignore[attr-defined]
    return call


def _dense_layers(model):
    return [
        layer
        for layer in (model._flatten_layers() if isinstance(model, keras.Model) else ())
        if type(layer) is keras.layers.Dense
        and layer.built
        and layer.quantization_mode is None
        and layer.compute_dtype == "float32"
    ]


def _rows(kernel):
    """[K, D] -> [1, D, K]: what is summed over lies side by side."""
    return tf.transpose(kernel)[None]


def _unturned(upstream, kernel):
    """upstream kernel^T; in other types than float32 the batched product is no faster."""
    if upstream.dtype != tf.float32:
        return MATMUL.to_inputs(upstream, kernel)
    return tf.raw_ops.BatchMatMulV2(x=upstream, y=kernel, adj_y=True)


SUMS = Bilinear(
    forward=lambda x, kernel: tf.reduce_sum(x[:, None, :] * _rows(kernel), 2),
    to_inputs=lambda upstream, kernel: tf.reduce_sum(upstream[:, :, None] * _rows(kernel), 1),
    to_kernel=lambda x, upstream: tf.transpose(
        tf.reduce_sum(x[:, None, :] * upstream[:, :, None], 0)
    ),
)
UNTURNED = dataclasses.replace(MATMUL, to_inputs=_unturned)
