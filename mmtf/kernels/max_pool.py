"""Max pooling with fast second derivatives, on CPUs and compiled by XLA.

A penalty on an input gradient is differentiated through the gradient of each layer. The gradient
of max pooling moves the upstream gradient to the maximum of each window, so the second derivative
is a gather at the maxima. In both implementations the first maximum of a window, row by row,
receives the gradient, as in TensorFlow.
"""

import functools
from collections.abc import Sequence

import tensorflow as tf

_NEGATIVE_ZERO = 0x8000  # in bfloat16; equal to zero as a number, not in its bits


def max_pool(x: tf.Tensor, size: Sequence[int], strides: Sequence[int], padding: str) -> tf.Tensor:
    """tf.nn.max_pool2d(x, size, strides, padding) for CPUs; equal to the bit, derivatives included.

    Only the gather at the maxima is replaced, which TensorFlow's kernel does value by value.

    Args:
      x: [N, H, W, C]; if H or W is not known, TensorFlow's own second derivative is used.
      size, strides: (rows, columns).
      padding: `SAME` or `VALID`.

    Example:
      >>> x = tf.reshape(tf.range(4.0), (1, 2, 2, 1))
      >>> float(max_pool(x, (2, 2), (2, 2), "SAME")[0, 0, 0, 0])
      3.0
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
    """`direction` at the first maximum of each window; compiled into one pass over the arrays."""
    outside = x.dtype.min
    if x.dtype == tf.bfloat16:
        # XLA converts bfloat16 to float32 on CPUs, even to compare and copy it: compare the bits.
        outside = tf.bitcast(tf.constant(outside, x.dtype), tf.uint16)
        x, y, direction = (tf.bitcast(one, tf.uint16) for one in (x, y, direction))
        x, y = (tf.where(one == _NEGATIVE_ZERO, tf.zeros_like(one), one) for one in (x, y))
    pixels = window_views(x, size, strides, padding, outside)
    values = window_views(direction, size, strides, padding, 0)
    found = tf.zeros_like(y)
    for pixel, value in reversed(list(zip(pixels, values, strict=True))):
        found = tf.where(pixel == y, value, found)
    return tf.bitcast(found, tf.bfloat16) if found.dtype == tf.uint16 else found


def xla_max_pool(
    x: tf.Tensor, size: Sequence[int], strides: Sequence[int], padding: str
) -> tf.Tensor:
    """tf.nn.max_pool2d(x, size, strides, padding) by slices and comparisons, for XLA.

    XLA's own second derivative of max pooling exists in float32 only. It compares the values of a
    window rounded to bfloat16, so that it may select another pixel than the maximum.

    Args:
      x: [N, H, W, C], H and W known.
      size, strides: (rows, columns).
      padding: `SAME` or `VALID`.

    Example:
      >>> x = tf.reshape(tf.range(4.0), (1, 2, 2, 1))
      >>> float(xla_max_pool(x, (2, 2), (2, 2), "SAME")[0, 0, 0, 0])
      3.0
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
    return tf.where(taken, pooled, top)  # NaN, which is not equal to itself


def _tiled_max_pool(x: tf.Tensor, size: Sequence[int], padding: str) -> tf.Tensor:
    """`xla_max_pool` for windows that do not overlap.

    The positions of the maxima are computed once; both derivatives need nothing else.
    """
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
            # Pixels that no window of `VALID` covers.
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


def window_views(
    x: tf.Tensor, size: Sequence[int], strides: Sequence[int], padding: str, outside: float
) -> list[tf.Tensor]:
    """The pixels of all pooling windows: one array per position in the window, row by row.

    Args:
      x: [N, H, W, C], H and W known.
      size, strides: (rows, columns) of the pool.
      padding: `SAME` or `VALID`.
      outside: value of the pixels that `SAME` adds.

    Returns:
      size[0] * size[1] arrays [N, H', W', C], H' and W' those of the pool's output.

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


def _windows(
    lengths: Sequence[int], size: Sequence[int], strides: Sequence[int], padding: str
) -> tuple[list[int], list[list[int]]]:
    """(number of windows along each axis, [pixels added before, after] of each axis)."""
    out, pads = [], []
    for length, window, stride in zip(lengths, size, strides, strict=True):
        count = -(-length // stride) if padding == "SAME" else (length - window) // stride + 1
        extra = max((count - 1) * stride + window - length, 0) if padding == "SAME" else 0
        out.append(count)
        pads.append([extra // 2, extra - extra // 2])
    return out, pads
