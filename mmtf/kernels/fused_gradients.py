"""Kernel gradients of a loss and of the penalty on its input gradient, in one product."""

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import keras
import tensorflow as tf

from mmtf.kernels.bilinear import MATMUL, conv2d_of
from mmtf.kernels.conv_rows import few_channel_conv, has_few_channels
from mmtf.kernels.dense import dense_call
from mmtf.kernels.keras_internals import layers_of
from mmtf.kernels.patching import kernel_tensor, patched


def fused_kernel_gradients(model: Any) -> AbstractContextManager[None]:
    """Context manager: inside it, first- and second-order kernel gradients are one product.

    Only for objectives l + c ||dl/dx||^2 / 2 in which l itself is a summand: the gradient with
    respect to a kernel is that of the objective up to a term of second order in c dl/dx (see
    `Bilinear`). Gradients with respect to x and to biases are unchanged, and so are all gradients
    where l is differentiated once. On CPUs, convolutions over few channels use the operations of
    `fast_input_gradients`, except inside `block_convolutions`.

    Args:
      model: a built Keras model. Replaced are its Dense layers over vectors and its channels-last
        Conv2D layers over images of known size, unless quantized, dilated or in groups. Other
        callables stay as they are.
    """
    changes = []
    for layer in layers_of(model):
        name, operation = _operation(layer)
        # The tracing of replicas interleaves: another one may already have replaced it.
        if name is not None and not hasattr(vars(layer).get(name), "fused"):
            operation.fused = True
            changes.append((layer, name, operation))
    return patched(changes)


def _operation(layer: Any) -> tuple[str | None, Any]:
    """(name of the layer's attribute, its replacement); (None, None) for other layers."""
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


def _convolution(layer: keras.layers.Conv2D) -> Callable:
    by_rows = has_few_channels(layer) and not tf.config.list_logical_devices("GPU")
    padding = layer.padding.upper()
    product = getattr(vars(layer).get("convolution_op"), "product", None)

    def convolution_op(inputs, kernel):
        inputs, kernel = tf.convert_to_tensor(inputs), kernel_tensor(kernel)
        if None in inputs.shape[1:]:
            return type(layer).convolution_op(layer, inputs, kernel)
        if by_rows and product is None:
            return few_channel_conv(inputs, kernel, padding, layer.strides, fused=True)
        make = product or functools.partial(conv2d_of, strides=layer.strides, padding=padding)
        return make(inputs.shape[1:], kernel.shape)(inputs, kernel, fused=True)

    return convolution_op
