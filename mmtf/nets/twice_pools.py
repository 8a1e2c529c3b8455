"""Max pools that XLA differentiates twice."""

import keras
import tensorflow as tf

from mmtf.nets.replaced import replaced


def twice_differentiable_pools(model: keras.Model):
    """While open, what is traced of `model` has max pools made of slices and comparisons.

    For XLA alone. Its own second derivative of a max pool exists in float32 only, and compares a
    window's values rounded to bfloat16, so that it may follow another pixel than the maximum.

    Args:
      model: built; of its layers, every channels-last MaxPooling2D is meant. Other callables are
        left as they are.
    """
    layers = model._flatten_layers() if isinstance(model, keras.Model) else ()
    return replaced((one, "call", _operation(one)) for one in layers if is_max_pool(one))


def is_max_pool(layer) -> bool:
    """Whether it is a channels-last MaxPooling2D, and no subclass of it."""
    return type(layer) is keras.layers.MaxPooling2D and layer.data_format == "channels_last"


def _operation(layer):
    def call(inputs):
        return max_pool(inputs, layer.pool_size, layer.strides, layer.padding.upper())

    return call


def max_pool(x, size, strides, padding: str):
    """tf.nn.max_pool2d(x, size, strides, padding); the first maximum of a window has the gradient.

    Args:
      x: [N, H, W, C], H and W known.
      size, strides: pairs.
      padding: `SAME` or `VALID`.
    """
    views = window_views(x, size, strides, padding, x.dtype.min)
    top = tf.stop_gradient(tf.reduce_max(tf.stack(views), 0))
    taken, pooled = tf.zeros_like(top, tf.bool), tf.zeros_like(top)
    for view in views:
        first = (view == top) & ~taken
        pooled += tf.where(first, view, tf.zeros_like(view))
        taken |= first
    return pooled


def window_views(x, size, strides, padding: str, outside) -> list[tf.Tensor]:
    """The pixels of every pooling window, one array a place in the window, row by row.

    Args:
      x: [N, H, W, C], H and W known.
      size, strides, padding: of the pool.
      outside: value of the pixels that `SAME` adds.

    Returns:
      size[0] * size[1] arrays [N, H of the pooled, W of the pooled, C].

    Example:
      >>> views = window_views(tf.reshape(tf.range(4.0), (1, 2, 2, 1)), (2, 2), (2, 2), "VALID", 0)
      >>> [float(view[0, 0, 0, 0]) for view in views]
      [0.0, 1.0, 2.0, 3.0]
    """
    out, pads = [], []
    for length, window, stride in zip(x.shape[1:3], size, strides, strict=True):
        count = -(-length // stride) if padding == "SAME" else (length - window) // stride + 1
        extra = max((count - 1) * stride + window - length, 0) if padding == "SAME" else 0
        out.append(count)
        pads.append([extra // 2, extra - extra // 2])
    x = tf.pad(x, [[0, 0], *pads, [0, 0]], constant_values=outside)
    return [
        x[:, i : i + (out[0] - 1) * strides[0] + 1 : strides[0],
          j : j + (out[1] - 1) * strides[1] + 1 : strides[1]]
        for i in range(size[0])
        for j in range(size[1])
    ]  # fmt: skip
