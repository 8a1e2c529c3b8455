"""A cheaper gradient with respect to the images, through a first convolution of few channels."""

import dataclasses

import keras
import numpy as np
import tensorflow as tf

from mmtf.kernels.bilinear import conv2d_of
from mmtf.kernels.replaced import replaced

# Images have this many channels at most; a convolution of more fills the vector units by itself.
THIN = 4
# Output channels that a convolution should have, about the width of a vector unit.
WIDTH = 16


def thin_input_gradients(model: keras.Model):
    """While open, what is traced of `model` differentiates thin convolutions by rows, then columns.

    The gradient of a convolution with respect to images of 1 to 4 channels is a convolution with
    1 to 4 output channels, which leaves most of each vector unit idle. Here it is two strided ones
    whose output channels are what they compute for some pixels in a row, then put back in place:
    the same sums, up to their order in float32; in bfloat16 what lies between is rounded once more.
    Measured on CPUs; where there is a GPU, nothing is changed.

    Args:
      model: built; of its layers, every Conv2D of stride 1 over at most 4 channels is meant.
        Other callables are left as they are.
    """
    meant = isinstance(model, keras.Model) and not tf.config.list_logical_devices("GPU")
    layers = model._flatten_layers() if meant else ()
    return replaced(
        (layer, "convolution_op", _operation(layer)) for layer in layers if is_thin(layer)
    )


def is_thin(layer):
    return (
        type(layer) is keras.layers.Conv2D
        and layer.built
        and layer.kernel.shape[2] <= THIN
        and layer.strides == (1, 1)
        and layer.dilation_rate == (1, 1)
        and layer.groups == 1
        and layer.data_format == "channels_last"
        and layer.padding in ("same", "valid")
    )


def _operation(layer):
    padding = layer.padding.upper()

    def convolution_op(inputs, kernel):
        # Keras hands over its variable, in the type that it is to be computed in.
        inputs = tf.convert_to_tensor(inputs)
        kernel = tf.convert_to_tensor(keras.ops.convert_to_tensor(kernel))
        if None in inputs.shape[1:]:
            return tf.nn.conv2d(inputs, kernel, 1, padding)
        return thin_conv(inputs, kernel, padding)

    return convolution_op


def thin_conv(x, kernel, padding: str, *, fused=False):
    """tf.nn.conv2d(x, kernel, 1, padding), with the gradient by rows; differentiable twice.

    Args:
      x: [N, H, W, C], H, W and C known.
      kernel: [h, w, C, D].
      padding: `SAME` or `VALID`.
      fused: see `Bilinear`.
    """
    size = x.shape[1:]
    product = dataclasses.replace(
        conv2d_of(size, kernel.shape, (1, 1), padding),
        to_inputs=lambda upstream, kernel: _by_rows(upstream, kernel, size[:2], padding),
    )
    return product(x, kernel, fused=fused)


def _by_rows(upstream, kernel, size, padding):
    """sum over taps (p, q) of upstream[i + before - p, j + before' - q] kernel[p, q].

    First the sums over p, for each q: a convolution along the columns of a picture whose output
    channels are the rows of a block, the taps q and the channels. Then, along the rows, the sum
    over q, by a kernel of zeros and ones whose output channels are the pixels of a block.
    """
    (height, width), channels, filters = kernel.shape[:2], kernel.shape[2], kernel.shape[3]
    rows = max(WIDTH // (width * channels), 1)
    at_most = max(WIDTH // (rows * channels), 1)
    # Of the larger blocks that with the fewest pixels past the edge.
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


def _sums_along_rows(rows, columns, width, channels):
    """[1, columns + width - 1, rows * width * channels, rows * columns * channels]: where tap q of
    a row and channel falls on a pixel of the block, 1."""
    ones = np.zeros((columns + width - 1, rows, width, channels, rows, columns, channels))
    for row in range(rows):
        for column in range(columns):
            for tap in range(width):
                ones[column + width - 1 - tap, row, tap, :, row, column] += np.eye(channels)
    return ones.reshape(1, columns + width - 1, rows * width * channels, -1)
