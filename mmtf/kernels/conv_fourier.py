"""Convolutions with large kernels as products of discrete Fourier transforms, for CPUs."""

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mmtf.kernels.bilinear import Bilinear, conv2d_of, convolution_by
from mmtf.kernels.conv_rows import is_plain_conv
from mmtf.kernels.keras_internals import layers_of
from mmtf.kernels.patching import patched

# Factor by which the products of the transforms must take fewer multiplications; the transforms
# themselves cost about half as much again. Below it, a convolution is as fast.
MIN_SAVING = 6
# Channels and images below which the transforms take longer than they save.
MIN_CHANNELS = 32
MIN_BATCH = 32
# Largest transform of a kernel: 2^25 numbers are 128 MiB.
MAX_SPECTRUM = 2**25


def fourier_convolutions(model: Any) -> AbstractContextManager[None]:
    """Context manager: inside it, float32 convolutions with large kernels use Fourier transforms.

    A convolution of images is a product of their discrete Fourier transforms, frequency by
    frequency. For 5 x 5 taps on 14 x 14 pixels this takes 8.5 times fewer multiplications, in large
    matrix products, and the gradients share the transforms. Results are equal up to rounding in
    float32; the rounding error of a pixel is relative to the norm of its image, not to its own sum.

    Args:
      model: a built Keras model. Replaced are channels-last Conv2D layers of stride 1 over images
        of known size, unless dilated or in groups, for which `saves` holds. In other types than
        float32, and for fewer than 32 images, they are the convolutions that they were. Other
        callables stay as they are.
    """
    changes = []
    for layer in layers_of(model):
        if (
            is_plain_conv(layer)
            and layer.strides == (1, 1)
            and min(layer.kernel.shape[2:]) >= MIN_CHANNELS
            and "convolution_op" not in vars(layer)
        ):
            changes.append((layer, "convolution_op", _operation(layer)))
    return patched(changes)


def _operation(layer: keras.layers.Conv2D) -> Callable:
    padding = layer.padding.upper()

    def product(size, kernel_shape):
        direct = conv2d_of(size, kernel_shape, (1, 1), padding)
        if not saves(size, kernel_shape, padding):
            return direct
        fourier = fourier_conv(size, kernel_shape, padding)
        return Bilinear(
            _for_batches(fourier.forward, direct.forward),
            _for_batches(fourier.to_inputs, direct.to_inputs),
            _for_batches(fourier.to_kernel, direct.to_kernel),
        )

    return convolution_by(product, padding)


def _for_batches(fourier: Callable, direct: Callable) -> Callable:
    """`fourier` for float32 and MIN_BATCH images or more, else `direct`."""

    def operation(images, other):
        if images.dtype != tf.float32:
            return direct(images, other)
        if images.shape[0] is not None:
            return (fourier if images.shape[0] >= MIN_BATCH else direct)(images, other)
        enough = tf.shape(images)[0] >= MIN_BATCH
        return tf.cond(enough, lambda: fourier(images, other), lambda: direct(images, other))

    return operation


def saves(size: Sequence[int], kernel_shape: Sequence[int], padding: str) -> bool:
    """Whether products of transforms take at most 1 / MIN_SAVING of a convolution's products.

    A convolution multiplies once for each output pixel and tap, the product of transforms four
    times for each of half the frequencies. The transform of the kernel must also be small enough to
    be kept in memory.

    Args:
      size: (H, W, C) of the images.
      kernel_shape: (h, w, C, D).
      padding: `SAME` or `VALID`.

    Example:
      >>> saves((14, 14, 32), (5, 5, 32, 64), "SAME"), saves((14, 14, 32), (3, 3, 32, 64), "SAME")
      (True, False)
    """
    axes = [_Axis(*one, padding) for one in zip(size, kernel_shape[:2], strict=False)]
    direct = math.prod(axis.outputs * axis.taps for axis in axes)
    transformed = 4 * (axes[0].period // 2 + 1) * axes[1].period
    small = transformed * kernel_shape[2] * kernel_shape[3] <= MAX_SPECTRUM
    return small and direct >= MIN_SAVING * transformed


class _Axis:
    """One axis of the images: its lengths and transforms.

    With `period` zeros behind the image suffice for the circular convolution to be the linear one.
    """

    def __init__(self, pixels: int, taps: int, padding: str):
        same = padding == "SAME"
        self.pixels, self.taps = pixels, taps
        self.before = (taps - 1) // 2 if same else 0
        self.outputs = pixels if same else pixels - taps + 1
        self.period = pixels + taps // 2 if same else pixels

    def waves(self, positions: np.ndarray | range) -> np.ndarray:
        """exp(2 pi i f p / period): [period, positions], complex."""
        angles = np.outer(np.arange(self.period), positions) / self.period
        return np.exp(2j * np.pi * angles)

    def shifts(self) -> np.ndarray:
        """The waves at the taps: [period, taps]."""
        return self.waves(np.arange(self.taps) - self.before)


def fourier_conv(size: Sequence[int], kernel_shape: Sequence[int], padding: str) -> Bilinear:
    """tf.nn.conv2d(x, kernel, 1, padding) by discrete Fourier transforms, in float32.

    With F for the transform, padded with zeros by half a kernel, y = F^-1(F(x) conj(F(kernel))).
    The transforms of rows and of columns are matrix products, complex numbers are pairs of real
    ones, and of the frequencies f and -f of real images only one is kept.

    Args:
      size: (H, W, C) of the images.
      kernel_shape: (h, w, C, D).
      padding: `SAME` or `VALID`.

    Example:
      >>> x, kernel = tf.ones((1, 6, 6, 1)), tf.ones((3, 3, 1, 2))
      >>> round(float(fourier_conv((6, 6, 1), (3, 3, 1, 2), "VALID")(x, kernel)[0, 0, 0, 0]), 4)
      9.0
    """
    rows, columns = (_Axis(*one, padding) for one in zip(size, kernel_shape[:2], strict=False))
    half = rows.period // 2 + 1
    frequencies = half * columns.period
    taps, (channels, filters) = rows.taps * columns.taps, kernel_shape[2:]
    # Each kept frequency stands for itself and, but for those that are real, for its conjugate.
    weights = np.where(2 * np.arange(half) % rows.period == 0, 1.0, 2.0)
    weights /= rows.period * columns.period
    shifts = np.einsum("pa,qb->pqab", rows.shifts()[:half], columns.shifts())
    shifts = shifts.reshape(frequencies, taps)

    def transform(x):
        """[N, H, W, C] -> [frequencies, N, 2 C]: real, then imaginary parts."""
        height, width, depth = x.shape[1:]
        by_row = rows.waves(range(height))[:half].conj()
        by_row = np.stack([by_row.real, by_row.imag], 1).reshape(2 * half, height)
        # [parts, parts, frequencies, columns] -> (frequency, part) by (part, column).
        by_column = _parts(columns.waves(range(width)).conj()).transpose(2, 0, 1, 3)
        by_column = by_column.reshape(2 * columns.period, 2 * width)
        x = _product(by_row, tf.reshape(x, [-1, height, width * depth]))
        x = _product(by_column, tf.reshape(x, [-1, 2 * width, depth]))
        return tf.transpose(tf.reshape(x, [-1, frequencies, 2 * depth]), [1, 0, 2])

    def inverse(y, height, width):
        """[2, frequencies, N, D] -> [N, H', W', D]; the first axis: real and imaginary parts."""
        depth = y.shape[3]
        y = tf.reshape(y, [2, half, columns.period, -1, depth])
        y = tf.transpose(y, [3, 1, 0, 2, 4])
        # [parts, parts, columns, frequencies] -> (part, column) by (part, frequency).
        by_column = _parts(columns.waves(range(width)).T).transpose(0, 2, 1, 3)
        by_column = by_column.reshape(2 * width, 2 * columns.period)
        by_row = rows.waves(range(height))[:half].T * weights
        by_row = np.stack([by_row.real, -by_row.imag], 2).reshape(height, 2 * half)
        y = _product(by_column, tf.reshape(y, [-1, 2 * columns.period, depth]))
        y = _product(by_row, tf.reshape(y, [-1, 2 * half, width * depth]))
        return tf.reshape(y, [-1, height, width, depth])

    def spectrum(kernel, shifts):
        """[h, w, C, D] -> [2, frequencies, 2 C, D]: to real and to imaginary parts."""
        _, _, depth, outputs = kernel.shape
        # [to, from, frequencies, taps] -> (to, frequency, from) by taps.
        by_tap = _parts(shifts).transpose(0, 2, 1, 3).reshape(-1, taps)
        kernel = _product(by_tap, tf.reshape(kernel, [taps, depth * outputs]))
        return tf.reshape(kernel, [2, frequencies, 2 * depth, outputs])

    def forward(x, kernel):
        y = tf.matmul(transform(x)[None], spectrum(kernel, shifts))
        return inverse(y, rows.outputs, columns.outputs)

    def to_inputs(upstream, kernel):
        turned = spectrum(tf.transpose(kernel, [0, 1, 3, 2]), shifts.conj())
        return inverse(tf.matmul(transform(upstream)[None], turned), rows.pixels, columns.pixels)

    def to_kernel(x, upstream):
        products = tf.matmul(transform(x), transform(upstream), transpose_a=True)
        products = tf.reshape(products, [frequencies, 2, channels, 2, filters])
        # The real part of F(x) conj(F(upstream)) at the taps.
        at_taps = _parts(shifts * np.repeat(weights, columns.period)[:, None])[0]
        at_taps = np.stack([at_taps, [-at_taps[1], at_taps[0]]])
        at_taps = at_taps.transpose(3, 2, 0, 1).reshape(taps, -1)
        products = tf.transpose(products, [0, 3, 1, 2, 4])
        kernel = _product(at_taps, tf.reshape(products, [-1, channels * filters]))
        return tf.reshape(kernel, kernel_shape)

    return Bilinear(forward, to_inputs, to_kernel)


def _parts(matrix: np.ndarray) -> np.ndarray:
    """The products by complex numbers as those of real and imaginary parts: [2, 2, shape]."""
    return np.array([[matrix.real, -matrix.imag], [matrix.imag, matrix.real]])


def _product(matrix: np.ndarray, x: tf.Tensor) -> tf.Tensor:
    return tf.matmul(tf.constant(matrix, tf.float32), x)
