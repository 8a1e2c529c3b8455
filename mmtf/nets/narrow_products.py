"""Dense layers of few outputs without matrix products, for XLA."""

import keras
import tensorflow as tf

from mmtf.nets.bilinear import Bilinear
from mmtf.nets.replaced import replaced

# Outputs of a narrow layer, at most.
NARROW = 16


def narrow_products(model: keras.Model):
    """While open, what is traced of `model` has its narrow dense layers as sums of products.

    The logits of ten classes are float32 also where all else is bfloat16, and their three matrix
    products have so few rows or columns that a library's kernel keeps a GPU waiting. As
    multiplications and sums XLA fuses them with what surrounds them, and they are float32 in
    earnest, not TF32.

    Args:
      model: built; of its layers, every Dense over vectors of at most 16 units that computes in
        float32 is meant, unless quantised. Other callables are left as they are.
    """
    layers = model._flatten_layers() if isinstance(model, keras.Model) else ()
    return replaced((one, "call", _operation(one)) for one in layers if _is_narrow(one))


def _is_narrow(layer) -> bool:
    return (
        type(layer) is keras.layers.Dense
        and layer.built
        and layer.units <= NARROW
        and layer.quantization_mode is None
        and layer.compute_dtype == "float32"
    )


def _operation(layer):
    def call(inputs, training=None):
        if inputs.shape.rank != 2:
            return type(layer).call(layer, inputs, training=training)
        kernel = tf.convert_to_tensor(keras.ops.convert_to_tensor(layer.kernel))
        y = PRODUCT(tf.convert_to_tensor(inputs), kernel)
        if layer.use_bias:
            y = keras.ops.add(y, layer.bias)
        return y if layer.activation is None else layer.activation(y)

    call.product = PRODUCT
    return call


def _rows(kernel):
    """[K, D] -> [1, D, K]: what is summed over lies side by side."""
    return tf.transpose(kernel)[None]


PRODUCT = Bilinear(
    forward=lambda x, kernel: tf.reduce_sum(x[:, None, :] * _rows(kernel), 2),
    to_inputs=lambda upstream, kernel: tf.reduce_sum(upstream[:, :, None] * _rows(kernel), 1),
    to_kernel=lambda x, upstream: tf.transpose(
        tf.reduce_sum(x[:, None, :] * upstream[:, :, None], 0)
    ),
)
