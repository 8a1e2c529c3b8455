"""A risk and the penalty on its gradient, differentiated in the kernels at the price of one."""

import functools

import keras
import tensorflow as tf

from mmtf.kernels.bilinear import MATMUL, conv2d_of
from mmtf.kernels.conv_rows import is_thin, thin_conv
from mmtf.kernels.dense import dense_call
from mmtf.kernels.replaced import replaced


def fused_kernel_gradients(model: keras.Model):
    """While open, what is traced of `model` takes kernel gradients of both orders in one product.

    For objectives l + c ||dl/dx||^2 / 2 alone, l itself a summand: the gradient in a kernel is the
    objective's but for a term of second order in c dl/dx, see `Bilinear`. Gradients in x and in
    biases stay what they are, and so do all where l is differentiated once. On CPUs thin
    convolutions are those of `thin_input_gradients`, open or not, unless `block_products` is open.

    Args:
      model: built; of its layers, every Dense over vectors and every channels-last Conv2D over
        images of known size is meant, unless quantized, dilated or in groups. Other callables are
        left as they are.
    """
    changes = []
    for layer in model._flatten_layers() if isinstance(model, keras.Model) else ():
        name, operation = _operation(layer)
        # Replicas that are traced in turns may find it open already.
        if operation is not None and not hasattr(vars(layer).get(name), "fused"):
            operation.fused = True
            changes.append((layer, name, operation))
    return replaced(changes)


def _operation(layer):
    """(name of the layer's attribute, what to put there); (None, None) for other layers."""
    if type(layer) is keras.layers.Dense and layer.quantization_mode is None:
        product = getattr(vars(layer).get("call"), "product", MATMUL)
        return "call", dense_call(layer, product, fused=True)
    if (
        type(layer) is keras.layers.Conv2D
        and layer.data_format == "channels_last"
        and layer.dilation_rate == (1, 1)
        and layer.groups == 1
    ):
        return "convolution_op", _convolution(layer)
    return None, None


def _convolution(layer):
    thin = is_thin(layer) and not tf.config.list_logical_devices("GPU")
    padding = layer.padding.upper()
    product = getattr(vars(layer).get("convolution_op"), "product", None)

    def convolution_op(inputs, kernel):
        inputs, kernel = tf.convert_to_tensor(inputs), _tensor_of(kernel)
        if None in inputs.shape[1:]:
            return type(layer).convolution_op(layer, inputs, kernel)
        if thin and product is None:
            return thin_conv(inputs, kernel, padding, fused=True)
        make = product or functools.partial(conv2d_of, strides=layer.strides, padding=padding)
        return make(inputs.shape[1:], kernel.shape)(inputs, kernel, fused=True)

    return convolution_op


def _tensor_of(kernel):
    """Keras' variable in the type that it is to be computed in."""
    return tf.convert_to_tensor(keras.ops.convert_to_tensor(kernel))
