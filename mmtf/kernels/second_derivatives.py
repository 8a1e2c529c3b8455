"""Second derivatives of max pools and ReLUs on CPUs, without the work that TensorFlow's do."""

import keras
import tensorflow as tf

from mmtf.kernels.max_pool import is_max_pool, window_views
from mmtf.kernels.replaced import replaced


def cheap_second_derivatives(model: keras.Model):
    """While open, what is traced of `model` has pools and ReLUs with the derivatives below.

    A penalty on a gradient is differentiated through the gradient of each layer. For a max pool
    that is a gather at the maxima, which TensorFlow's kernel does value by value, here XLA's; and
    for both, TensorFlow adds zeros of the layer's size, the second derivative proper, to what flows
    back. Values and derivatives are the same to the bit. Where there is a GPU, nothing is changed.

    Args:
      model: built; of its layers, every channels-last MaxPooling2D and plain ReLU is meant. Other
        callables are left as they are.
    """
    meant = isinstance(model, keras.Model) and not tf.config.list_logical_devices("GPU")
    layers = model._flatten_layers() if meant else ()
    calls = [(layer, "call", _operation(layer)) for layer in layers if "call" not in vars(layer)]
    return replaced(one for one in calls if one[-1] is not None)


def _operation(layer):
    if is_max_pool(layer):
        size, strides, padding = layer.pool_size, layer.strides, layer.padding.upper()
        return lambda inputs: max_pool(inputs, size, strides, padding)
    if type(layer) is keras.layers.ReLU:
        plain = layer.max_value is None and not layer.negative_slope and not layer.threshold
        return relu if plain else None
    return None


def relu(x):
    """tf.nn.relu(x)."""

    @tf.custom_gradient
    def forward(x):
        y = tf.nn.relu(x)

        @tf.custom_gradient
        def masked(upstream):
            """Its own transpose."""
            return tf.raw_ops.ReluGrad(gradients=upstream, features=y), masked

        return y, masked

    return forward(x)


def max_pool(x, size, strides, padding: str):
    """tf.nn.max_pool2d(x, size, strides, padding); the first maximum of a window has the gradient.

    Args:
      x: [N, H, W, C]; TensorFlow's own where H or W is not known.
      size, strides: pairs.
      padding: `SAME` or `VALID`.
    """
    if None in x.shape[1:3]:
        return tf.nn.max_pool2d(x, size, strides, padding)
    window = {"ksize": [1, *size, 1], "strides": [1, *strides, 1], "padding": padding}

    @tf.custom_gradient
    def forward(x):
        y = tf.nn.max_pool2d(x, size, strides, padding)

        @tf.custom_gradient
        def to_maxima(upstream):
            down = tf.raw_ops.MaxPoolGrad(orig_input=x, orig_output=y, grad=upstream, **window)
            return down, from_maxima

        @tf.custom_gradient
        def from_maxima(direction):
            """The transpose of `to_maxima`."""
            return _gather(x, y, direction, tuple(size), tuple(strides), padding), to_maxima

        return y, to_maxima

    return forward(x)


@tf.function(jit_compile=True, autograph=False)
def _gather(x, y, direction, size, strides, padding):
    """`direction` at the first maximum of each window; compiled into one pass over them all."""
    pixels = window_views(x, size, strides, padding, x.dtype.min)
    values = window_views(direction, size, strides, padding, 0)
    found = tf.zeros_like(y)
    for pixel, value in reversed(list(zip(pixels, values, strict=True))):
        found = tf.where(pixel == y, value, found)
    return found
