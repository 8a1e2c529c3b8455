"""A risk and the penalty on its gradient, differentiated in the kernels at the price of one."""

import contextlib

import keras
import tensorflow as tf

from mmtf.nets.bilinear import Bilinear
from mmtf.nets.thin_gradient import is_thin, thin_conv


@contextlib.contextmanager
def fused_kernel_gradients(model: keras.Model):
    """While open, what is traced of `model` takes kernel gradients of both orders in one product.

    For objectives l + c ||dl/dx||^2 alone: the gradient in a kernel is the objective's but for a
    term of second order in c dl/dx, see `Bilinear`. Gradients in x and in biases stay what they
    are.

    Args:
      model: built; of its layers, every Dense and every channels-last Conv2D without groups or
        dilation is meant. Other callables are left as they are.
    """
    changed = []
    for layer in model._flatten_layers() if isinstance(model, keras.Model) else ():
        name, operation = _operation(layer)
        before = vars(layer).get(name)
        # Replicas that are traced in turns may find it open already.
        if operation is None or hasattr(before, "fused"):
            continue
        operation.fused = True
        vars(layer)[name] = operation
        changed.append((layer, name, before))
    try:
        yield
    finally:
        for layer, name, before in changed:
            if before is None:
                del vars(layer)[name]
            else:
                vars(layer)[name] = before


def _operation(layer):
    """(name of the layer's attribute, what to put there); None for other layers."""
    if type(layer) is keras.layers.Dense and layer.quantization_mode is None:
        return "call", _dense(layer)
    if (
        type(layer) is keras.layers.Conv2D
        and layer.data_format == "channels_last"
        and layer.dilation_rate == (1, 1)
        and layer.groups == 1
    ):
        return "convolution_op", _convolution(layer)
    return None, None


def _dense(layer):
    product = Bilinear(
        forward=lambda x, kernel: x @ kernel,
        to_inputs=lambda upstream, kernel: tf.matmul(upstream, kernel, transpose_b=True),
        to_kernel=lambda x, upstream: tf.matmul(x, upstream, transpose_a=True),
    )

    def call(inputs, training=None):
        if inputs.shape.rank != 2:
            return type(layer).call(layer, inputs, training=training)
        y = product(tf.convert_to_tensor(inputs), _tensor_of(layer.kernel), fused=True)
        if layer.use_bias:
            y = keras.ops.add(y, layer.bias)
        return y if layer.activation is None else layer.activation(y)

    return call


def _convolution(layer):
    thin = is_thin(layer) and not tf.config.list_logical_devices("GPU")

    def convolution_op(inputs, kernel):
        inputs = tf.convert_to_tensor(inputs)
        kernel = _tensor_of(kernel)
        if None in inputs.shape[1:]:
            return type(layer).convolution_op(layer, inputs, kernel)
        if thin:
            return thin_conv(inputs, kernel, layer.padding.upper(), fused=True)
        return _conv(inputs, kernel, layer.strides, layer.padding.upper())

    return convolution_op


def _conv(x, kernel, strides, padding):
    window = {"strides": [1, *strides, 1], "padding": padding}
    size, shape = x.shape[1:], kernel.shape
    product = Bilinear(
        forward=lambda x, kernel: tf.nn.conv2d(x, kernel, **window),
        to_inputs=lambda upstream, kernel: tf.raw_ops.Conv2DBackpropInput(
            input_sizes=tf.stack([tf.shape(upstream)[0], *size]),
            filter=kernel,
            out_backprop=upstream,
            **window,
        ),
        to_kernel=lambda x, upstream: tf.raw_ops.Conv2DBackpropFilter(
            input=x, filter_sizes=shape, out_backprop=upstream, **window
        ),
    )
    return product(x, kernel, fused=True)


def _tensor_of(kernel):
    """Keras' variable in the type that it is to be computed in."""
    return tf.convert_to_tensor(keras.ops.convert_to_tensor(kernel))
