"""Max pools that XLA differentiates twice."""

import functools

import keras
import tensorflow as tf

from mmtf.kernels.replaced import replaced


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
    if tuple(size) == tuple(strides):
        return _tiled_max_pool(x, size, padding)
    views = window_views(x, size, strides, padding, x.dtype.min)
    top = tf.stop_gradient(tf.reduce_max(tf.stack(views), 0))
    taken, pooled = tf.zeros_like(top, tf.bool), tf.zeros_like(top)
    for view in views:
        first = (view == top) & ~taken
        pooled += tf.where(first, view, tf.zeros_like(view))
        taken |= first
    return tf.where(taken, pooled, top)  # a NaN, which equals nothing


def _tiled_max_pool(x, size, padding):
    """Of windows that do not overlap: the maxima's places are found once, and are all that both
    derivatives need."""
    out, pads = _windows(x.shape[1:3], size, size, padding)
    places = tf.reshape(tf.range(size[0] * size[1]), [1, 1, size[0], 1, size[1], 1])

    def tiles(x, outside):
        """[N, H, W, C] -> [N, rows of windows, h, columns of windows, w, C]."""
        x = tf.pad(x, [[0, 0], *pads, [0, 0]], constant_values=outside)
        x = x[:, : out[0] * size[0], : out[1] * size[1]]
        return tf.reshape(x, [-1, out[0], size[0], out[1], size[1], x.shape[3]])

    def views(x, outside):
        x = tiles(x, outside)
        return [x[:, :, i, :, j] for i in range(size[0]) for j in range(size[1])]

    @tf.custom_gradient
    def forward(x):
        pixels = views(x, x.dtype.min)
        top = functools.reduce(tf.maximum, pixels)
        place = tf.zeros_like(top, tf.int32)
        for number in reversed(range(len(pixels))):
            place = tf.where(pixels[number] == top, number, place)

        @tf.custom_gradient
        def to_maxima(upstream):
            there = place[:, :, None, :, None] == places
            upstream = upstream[:, :, None, :, None]
            down = tf.where(there, upstream, tf.zeros_like(upstream))
            shape = [-1, out[0] * size[0], out[1] * size[1], x.shape[3]]
            (above, _), (left, _) = pads
            down = tf.reshape(down, shape)[:, above : above + x.shape[1], left : left + x.shape[2]]
            # What `VALID` leaves over.
            rest = [[0, a - b] for a, b in zip(x.shape[1:3], down.shape[1:3], strict=True)]
            return tf.pad(down, [[0, 0], *rest, [0, 0]]), from_maxima

        @tf.custom_gradient
        def from_maxima(direction):
            """The transpose of `to_maxima`."""
            values = views(direction, 0)
            found = values[0]
            for number, value in enumerate(values[1:], 1):
                found = tf.where(place == number, value, found)
            return found, to_maxima

        return top, to_maxima

    return forward(x)


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
    out, pads = _windows(x.shape[1:3], size, strides, padding)
    x = tf.pad(x, [[0, 0], *pads, [0, 0]], constant_values=outside)
    return [
        x[:, i : i + (out[0] - 1) * strides[0] + 1 : strides[0],
          j : j + (out[1] - 1) * strides[1] + 1 : strides[1]]
        for i in range(size[0])
        for j in range(size[1])
    ]  # fmt: skip


def _windows(lengths, size, strides, padding):
    """(windows along each axis, [pixels added before, after] each axis)."""
    out, pads = [], []
    for length, window, stride in zip(lengths, size, strides, strict=True):
        count = -(-length // stride) if padding == "SAME" else (length - window) // stride + 1
        extra = max((count - 1) * stride + window - length, 0) if padding == "SAME" else 0
        out.append(count)
        pads.append([extra // 2, extra - extra // 2])
    return out, pads
