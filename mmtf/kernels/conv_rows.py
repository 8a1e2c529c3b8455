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
    1 to 4 output channels, which leaves most of each vector unit idle. Here it is computed by two
    strided convolutions, first along the columns, then along the rows, whose output channels are
    the results for a block of pixels. Results are equal up to the order of summation in float32; in
    bfloat16 the intermediate result is rounded once more. It is faster on CPUs only.

    Args:
      model: a built Keras model. Replaced are its Conv2D layers of stride 1 over at most 4
        channels. Other callables stay as they are.
    """
    return patched(
        (layer, "convolution_op", _operation(layer))
        for layer in layers_of(model)
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
    return (
        type(layer) is keras.layers.Conv2D
        and layer.built
        and layer.kernel.shape[2] <= FEW_CHANNELS
        and layer.strides == (1, 1)
        and layer.dilation_rate == (1, 1)
        and layer.groups == 1
        and layer.data_format == "channels_last"
        and layer.padding in ("same", "valid")
    )


def _operation(layer: keras.layers.Conv2D) -> Callable:
    padding = layer.padding.upper()

    def convolution_op(inputs, kernel):
        inputs, kernel = tf.convert_to_tensor(inputs), kernel_tensor(kernel)
        if None in inputs.shape[1:]:
            return tf.nn.conv2d(inputs, kernel, 1, padding)
        return few_channel_conv(inputs, kernel, padding)

    return convolution_op


def few_channel_conv(
    x: tf.Tensor, kernel: tf.Tensor, padding: str, *, fused: bool = False
) -> tf.Tensor:
    """tf.nn.conv2d(x, kernel, 1, padding) with a faster input gradient; twice differentiable.

    Args:
      x: [N, H, W, C], H, W and C known.
      kernel: [h, w, C, D].
      padding: `SAME` or `VALID`.
      fused: see `Bilinear`.

    Example:
      >>> x, kernel = tf.ones((1, 6, 6, 1)), tf.ones((3, 3, 1, 2))
      >>> float(few_channel_conv(x, kernel, "VALID")[0, 0, 0, 0])
      9.0
    """
    size = x.shape[1:]
    product = dataclasses.replace(
        conv2d_of(size, kernel.shape, (1, 1), padding),
        to_inputs=lambda upstream, kernel: _by_rows(upstream, kernel, size[:2], padding),
    )
    return product(x, kernel, fused=fused)


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
    blocks = tf.reshape(blocks, [-1, *blocks.shape[1:3], rows, columns, channels])
    image = tf.reshape(tf.transpose(blocks, [0, 1, 3, 2, 4, 5]), [-1, *whole, channels])
    return image[:, : size[0], : size[1]]


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
