"""Convolutions over few channels as matrix products over blocks of pixels, for XLA."""

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import keras
import tensorflow as tf

from mmtf.kernels.bilinear import Bilinear, convolution_by
from mmtf.kernels.conv_rows import from_blocks, has_few_channels
from mmtf.kernels.keras_internals import layers_of
from mmtf.kernels.patching import patched

# The matrix grows with the fourth power of the kernel's width.
MAX_KERNEL_SIZE = 7
# Maximum number of partial sums of a kernel gradient, a sum over the pixels of all images.
MAX_PARTS = 16


def block_convolutions(model: Any) -> AbstractContextManager[None]:
    """Context manager: inside it, convolutions over few channels are matrix products.

    A convolution over 1 to 4 channels uses a small part of a GPU's matrix units, and its gradients
    use even less. Here the (t - 1) x (t - 1) output pixels of a block, with all channels, are one
    row of a matrix product: 2 x 2 blocks of the image times a matrix that contains the t x t kernel
    once for each pixel. This takes (2 - 2 / t)^2 times the arithmetic (2.6 times for t = 5), but in
    one product of a shape that suits matrix units. Results are equal up to the order of summation.

    Args:
      model: a built Keras model. Replaced are its Conv2D layers of stride 1 over at most 4 channels
        with kernels of 2 x 2 to 7 x 7. Other callables stay as they are.
    """
    return patched(
        (layer, "convolution_op", _operation(layer))
        for layer in layers_of(model)
        if has_few_channels(layer)
        and layer.strides == (1, 1)
        and min(layer.kernel_size) > 1
        and max(layer.kernel_size) <= MAX_KERNEL_SIZE
    )


def _operation(layer: keras.layers.Conv2D) -> Callable:
    padding = layer.padding.upper()

    def product(size, kernel_shape):
        return block_conv(size, kernel_shape, padding)

    return convolution_by(product, padding)


def block_conv(size: Sequence[int], kernel_shape: Sequence[int], padding: str) -> Bilinear:
    """tf.nn.conv2d(x, kernel, 1, padding) as a Bilinear; its gradients are summed in float32.

    Args:
      size: (H, W, C) of the images.
      kernel_shape: (h, w, C, D), h, w > 1.
      padding: `SAME` or `VALID`.

    Example:
      >>> x, kernel = tf.ones((1, 6, 6, 1)), tf.ones((3, 3, 1, 2))
      >>> float(block_conv((6, 6, 1), (3, 3, 1, 2), "VALID")(x, kernel)[0, 0, 0, 0])
      9.0
    """
    taps, channels, filters = kernel_shape[:2], kernel_shape[2], kernel_shape[3]
    block = [one - 1 for one in taps]
    before = [(one - 1) // 2 if padding == "SAME" else 0 for one in taps]
    lost = [0 if padding == "SAME" else one - 1 for one in taps]
    out = [have - less for have, less in zip(size[:2], lost, strict=True)]
    count = [-(-length // one) for length, one in zip(out, block, strict=True)]
    # A block of outputs depends on its own and the next block of the padded image.
    whole = [(one + 1) * length for one, length in zip(count, block, strict=True)]
    corners = [(i, j) for i in range(2) for j in range(2)]
    pixels = [(a, b) for a in range(block[0]) for b in range(block[1])]
    rows, columns = 4 * len(pixels) * channels, len(pixels) * filters

    def windows(x):
        """[N, H, W, C] -> [N * blocks, rows]: the 2 x 2 blocks for each block of outputs."""
        pads = [
            [first, total - first - have]
            for first, total, have in zip(before, whole, size[:2], strict=True)
        ]
        blocks = _to_blocks(tf.pad(x, [[0, 0], *pads, [0, 0]]), block)
        seen = [blocks[:, i : i + count[0], j : j + count[1]] for i, j in corners]
        return tf.reshape(tf.concat(seen, 3), [-1, rows])

    def to_image(seen):
        """The transpose of `windows`."""
        seen = tf.reshape(seen, [-1, *count, 4, rows // 4])
        total = tf.add_n([
            tf.pad(seen[:, :, :, place], [[0, 0], [i, 1 - i], [j, 1 - j], [0, 0]])
            for place, (i, j) in enumerate(corners)
        ])  # fmt: skip
        image = from_blocks(total, block)
        return image[:, before[0] : before[0] + size[0], before[1] : before[1] + size[1]]

    def spread(kernel):
        """[h, w, C, D] -> [rows, columns]: the kernel once for each pixel of a block."""
        moved = [
            tf.pad(kernel, [[a, block[0] - 1 - a], [b, block[1] - 1 - b], [0, 0], [0, 0]])
            for a, b in pixels
        ]
        matrix = tf.reshape(tf.stack(moved, 3), [2, block[0], 2, block[1], channels, columns])
        return tf.reshape(tf.transpose(matrix, [0, 2, 1, 3, 4, 5]), [rows, columns])

    def gather(matrix):
        """The transpose of `spread`."""
        matrix = tf.reshape(matrix, [2, 2, *block, channels, columns])
        matrix = tf.transpose(matrix, [0, 2, 1, 3, 4, 5])
        matrix = tf.reshape(matrix, [2 * block[0], 2 * block[1], channels, len(pixels), filters])
        return tf.add_n(
            [matrix[a : a + taps[0], b : b + taps[1], :, p] for p, (a, b) in enumerate(pixels)]
        )

    def by_block(upstream):
        """[N, H', W', D] -> [N * blocks, columns]."""
        pads = [
            [0, one * length - have] for one, length, have in zip(count, block, out, strict=True)
        ]
        blocks = _to_blocks(tf.pad(upstream, [[0, 0], *pads, [0, 0]]), block)
        return tf.reshape(blocks, [-1, columns])

    def forward(x, kernel):
        y = tf.reshape(windows(x) @ spread(kernel), [-1, *count, columns])
        return from_blocks(y, block)[:, : out[0], : out[1]]

    def to_inputs(upstream, kernel):
        seen = _product(by_block(upstream), spread(kernel), adj_y=True)
        return tf.cast(to_image(seen), upstream.dtype)

    def to_kernel(x, upstream):
        # A small matrix of long sums, split into parts to occupy more of a GPU.
        parts = math.gcd(x.shape[0] or 1, MAX_PARTS)
        left, right = (
            tf.reshape(one, [parts, -1, one.shape[1]]) for one in (windows(x), by_block(upstream))
        )
        matrix = tf.reduce_sum(_product(left, right, adj_x=True), 0)
        return tf.cast(gather(matrix), upstream.dtype)

    return Bilinear(forward, to_inputs, to_kernel)


def _to_blocks(x: tf.Tensor, block: Sequence[int]) -> tf.Tensor:
    """[N, H, W, C] -> [N, H / a, W / b, a b C]; tf.nn.space_to_depth takes square blocks only."""
    _, height, width, channels = x.shape
    a, b = block
    x = tf.reshape(x, [-1, height // a, a, width // b, b, channels])
    return tf.reshape(
        tf.transpose(x, [0, 1, 3, 2, 4, 5]), [-1, height // a, width // b, a * b * channels]
    )


def _product(x: tf.Tensor, y: tf.Tensor, **adjoint: bool) -> tf.Tensor:
    """Batched matrix product; bfloat16 factors are accumulated and returned in float32."""
    dtype = tf.float32 if x.dtype == tf.bfloat16 else x.dtype
    return tf.raw_ops.BatchMatMulV3(x=x, y=y, Tout=dtype, **adjoint)
