"""Faster input gradients of convolutions over few channels, for CPUs."""

import dataclasses
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mmtf.kernels.bilinear import conv2d_of
from mmtf.kernels.keras_internals import layers_of
from mmtf.kernels.patching import kernel_tensor, patched

# Maximum number of channels; more fill a vector unit anyway.
FEW_CHANNELS = 4
# Output channels that a convolution should have: about the width of a vector unit.
VECTOR_WIDTH = 16


def fast_input_gradients(model: Any) -> AbstractContextManager[None]:
    """Context manager: inside it, convolutions over few channels have faster input gradients.

    The gradient of a convolution with respect to images of 1 to 4 channels is a convolution with
    1 to 4 output channels, which leaves most of each vector unit idle. Here its output channels are
    the results for a block of pixels: with strides the pixels of one stride, without them more, by
    two convolutions, first along the columns, then along the rows. Results are equal up to the
    order of summation in float32; in bfloat16 the result of the first of the two convolutions is
    rounded once more. It is faster on CPUs only.

    Args:
      model: a built Keras model or layer. Replaced are Conv2D layers over at most 4 channels,
        unless dilated or in groups. Other callables stay as they are.
    """
    return patched(
        (layer, "convolution_op", _operation(layer))
        for layer in layers_of(model, include_self=True)
        if has_few_channels(layer)
    )


def has_few_channels(layer: Any) -> bool:
    """Whether `layer` is a Conv2D over at most 4 channels that this module supports.

    Example:
      >>> layer = keras.layers.Conv2D(8, 3)
      >>> layer.build((None, 28, 28, 1))
      >>> has_few_channels(layer)
      True
    """
    return is_plain_conv(layer) and layer.kernel.shape[2] <= FEW_CHANNELS


def is_plain_conv(layer: Any) -> bool:
    """Whether `layer` is a built channels-last Conv2D, not of a subclass, dilated or in groups."""
    return (
        type(layer) is keras.layers.Conv2D
        and layer.built
        and layer.dilation_rate == (1, 1)
        and layer.groups == 1
        and layer.data_format == "channels_last"
        and layer.padding in ("same", "valid")
    )


def _operation(layer: keras.layers.Conv2D) -> Callable:
    strides, padding = layer.strides, layer.padding.upper()

    def convolution_op(inputs, kernel):
        inputs, kernel = tf.convert_to_tensor(inputs), kernel_tensor(kernel)
        if None in inputs.shape[1:]:
            return tf.nn.conv2d(inputs, kernel, strides, padding)
        return few_channel_conv(inputs, kernel, padding, strides)

    return convolution_op


def few_channel_conv(
    x: tf.Tensor,
    kernel: tf.Tensor,
    padding: str,
    strides: Sequence[int] = (1, 1),
    *,
    fused: bool = False,
) -> tf.Tensor:
    """tf.nn.conv2d(x, kernel, strides, padding), its input gradient faster; twice differentiable.

    Args:
      x: [N, H, W, C], H, W and C known.
      kernel: [h, w, C, D].
      padding: `SAME` or `VALID`.
      strides: (rows, columns).
      fused: see `Bilinear`.

    Example:
      >>> x, kernel = tf.ones((1, 6, 6, 1)), tf.ones((3, 3, 1, 2))
      >>> float(few_channel_conv(x, kernel, "VALID")[0, 0, 0, 0])
      9.0
    """
    size = x.shape[1:]

    def to_inputs(upstream, kernel):
        if tuple(strides) == (1, 1):
            return _by_rows(upstream, kernel, size[:2], padding)
        return _by_strides(upstream, kernel, size[:2], strides, padding)

    product = conv2d_of(size, kernel.shape, strides, padding)
    return dataclasses.replace(product, to_inputs=to_inputs)(x, kernel, fused=fused)


def _by_strides(
    upstream: tf.Tensor,
    kernel: tf.Tensor,
    size: Sequence[int],
    strides: Sequence[int],
    padding: str,
) -> tf.Tensor:
    """Sum over taps (p, q) of upstream[(i + before - p) / stride, ...] kernel[p, q].

    Only whole quotients count. With p = stride m + r, pixel r of block a of the padded image is the
    sum over m of upstream[a - m] kernel[stride m + r]: a convolution of stride 1 whose output
    channels are the pixels of a block.
    """
    channels, filters = kernel.shape[2:]
    taps, before, pads, fill = [], [], [], []
    for axis, (length, stride) in enumerate(zip(size, strides, strict=True)):
        outputs, width = upstream.shape[axis + 1], kernel.shape[axis]
        added = max((outputs - 1) * stride + width - length, 0) if padding == "SAME" else 0
        before.append(added // 2)
        taps.append(-(-width // stride))
        blocks = -(-(before[axis] + length) // stride)
        pads.append([taps[axis] - 1, blocks - outputs])
        fill.append([0, taps[axis] * stride - width])
    kernel = tf.pad(kernel, [*fill, [0, 0], [0, 0]])
    kernel = tf.reshape(kernel, [taps[0], strides[0], taps[1], strides[1], channels, filters])
    kernel = tf.transpose(tf.reverse(kernel, [0, 2]), [0, 2, 5, 1, 3, 4])
    kernel = tf.reshape(kernel, [*taps, filters, strides[0] * strides[1] * channels])
    blocks = tf.nn.conv2d(upstream, kernel, 1, [[0, 0], *pads, [0, 0]])
    image = from_blocks(blocks, strides)
    return image[:, before[0] : before[0] + size[0], before[1] : before[1] + size[1]]


def _by_rows(
    upstream: tf.Tensor, kernel: tf.Tensor, size: Sequence[int], padding: str
) -> tf.Tensor:
    """Sum over taps (p, q) of upstream[i + before - p, j + before' - q] kernel[p, q].

    First the sums over p, for each q: a convolution along the columns of an image whose output
    channels are the rows of a block, the taps q and the channels. Then, along the rows, the sum
    over q, by a kernel of zeros and ones whose output channels are the pixels of a block.
    """
    (height, width), channels, filters = kernel.shape[:2], kernel.shape[2], kernel.shape[3]
    rows = max(VECTOR_WIDTH // (width * channels), 1)
    at_most = max(VECTOR_WIDTH // (rows * channels), 1)
    # Of the larger blocks, take the one with the fewest pixels past the edge.
    columns = min(range(at_most, at_most // 2, -1), key=lambda one: -(-size[1] // one) * one)
    block, pads, whole = (rows, columns), [], []
    for axis, taps in enumerate((height, width)):
        before = (taps - 1) // 2 if padding == "SAME" else 0
        whole.append(-(-size[axis] // block[axis]) * block[axis])
        pads.append([taps - 1 - before, whole[axis] + before - upstream.shape[axis + 1]])
    flipped = tf.transpose(tf.reverse(kernel, [0]), [0, 3, 1, 2])
    flipped = tf.reshape(flipped, [height, 1, filters, width * channels])
    by_row = tf.concat(
        [tf.pad(flipped, [[a, rows - 1 - a], [0, 0], [0, 0], [0, 0]]) for a in range(rows)], 3
    )
    along = tf.nn.conv2d(upstream, by_row, [rows, 1], [[0, 0], pads[0], [0, 0], [0, 0]])
    ones = tf.constant(_sums_along_rows(rows, columns, width, channels), along.dtype)
    blocks = tf.nn.conv2d(along, ones, [1, columns], [[0, 0], [0, 0], pads[1], [0, 0]])
    return from_blocks(blocks, block)[:, : size[0], : size[1]]


def from_blocks(blocks: tf.Tensor, block: Sequence[int]) -> tf.Tensor:
    """[N, H, W, a * b * C] -> [N, a * H, b * W, C] for blocks of a x b pixels.

    Example:
      >>> from_blocks(tf.reshape(tf.range(4), (1, 1, 1, 4)), (2, 2))[0, :, :, 0].numpy().tolist()
      [[0, 1], [2, 3]]
    """
    _, height, width, channels = blocks.shape
    a, b = block
    pixels = tf.reshape(blocks, [-1, height, width, a, b, channels // (a * b)])
    return tf.reshape(
        tf.transpose(pixels, [0, 1, 3, 2, 4, 5]), [-1, height * a, width * b, channels // (a * b)]
    )


def _sums_along_rows(rows: int, columns: int, width: int, channels: int) -> np.ndarray:
    """The kernel of the sums along rows: 1 where tap q of a row and channel falls on a pixel.

    Of shape [1, columns + width - 1, rows * width * channels, rows * columns * channels].
    """
    ones = np.zeros((columns + width - 1, rows, width, channels, rows, columns, channels))
    for row in range(rows):
        for column in range(columns):
            for tap in range(width):
                ones[column + width - 1 - tap, row, tap, :, row, column] += np.eye(channels)
    return ones.reshape(1, columns + width - 1, rows * width * channels, -1)
