"""Max-pooling: a selection of windows, which is affine, then the maximum over the last axis."""

from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow import Tensor

from mmtf.bounds.activations import Activation, Lines
from mmtf.bounds.affine import Affine


class Maximum(Activation):
    """max over the last axis of z [N, ..., K].

    Lower line: the entry with the greatest lower bound. Upper line: with k the entry of greatest
    upper bound and u' the greatest upper bound of the others, max(z) <= max(z_k, u'), a convex
    function of z_k, of which the chord is taken. It is exact if entry k dominates (u' <= low_k).
    """

    def forward(self, z: Tensor) -> Tensor:
        return tf.reduce_max(z, -1)

    def loose(self, low: Tensor, high: Tensor) -> Tensor:
        """bool: entries that can be the maximum, where there are at least two of them."""
        possible = high > tf.reduce_max(low, -1, keepdims=True)
        several = tf.reduce_sum(tf.cast(possible, tf.int32), -1, keepdims=True) > 1
        return possible & several

    def lines(self, low: Tensor, high: Tensor) -> Lines:
        count = low.shape[-1]
        lower = tf.one_hot(tf.argmax(low, -1), count, dtype=low.dtype)
        chosen = tf.one_hot(tf.argmax(high, -1), count, dtype=low.dtype)
        low_k = tf.reduce_sum(chosen * low, -1)
        high_k = tf.reduce_max(high, -1)
        others = tf.reduce_max(tf.where(chosen > 0, tf.cast(-np.inf, low.dtype), high), -1)
        dominated = others <= low_k
        others = tf.where(dominated, low_k, others)
        none, one = tf.zeros_like(low_k), tf.ones_like(low_k)
        chord = (high_k - others) / tf.where(dominated, one, high_k - low_k)
        slope = tf.where(dominated, one, chord)
        intercept = tf.where(dominated, none, others - slope * low_k)
        return Lines(lower, none, slope[..., None] * chosen, intercept)

    def backward(self, a: Tensor, lines: Lines) -> tuple[Tensor, Tensor]:
        up, down = tf.maximum(a, 0.0), tf.minimum(a, 0.0)
        axes = list(range(1, a.shape.rank))
        constant = tf.reduce_sum(up * lines.lower_intercept + down * lines.upper_intercept, axes)
        return up[..., None] * lines.lower_slope + down[..., None] * lines.upper_slope, constant


def windows(layer: Any, shape: tuple[int, ...]) -> Affine:
    """The selection of the windows of a MaxPooling2D: [N, H, W, C] -> [N, h, w, C, window].

    A window that reaches over the border takes the pixel at the border again, which it contains
    anyway: repeated pixels do not change a maximum.

    Args:
      layer: keras.layers.MaxPooling2D, channels last.
      shape: (H, W, C).
    """
    rows, columns = (
        _places(shape[axis], layer.pool_size[axis], layer.strides[axis], layer.padding)
        for axis in (0, 1)
    )
    channels = shape[2]

    def select(z):
        for axis, places in ((1, rows), (2, columns)):
            if not np.array_equal(places.ravel(), np.arange(shape[axis - 1])):
                z = tf.gather(z, places.ravel(), axis=axis)
        (h, i), (w, j) = rows.shape, columns.shape
        z = tf.reshape(z, [-1, h, i, w, j, channels])
        z = tf.transpose(z, [0, 1, 3, 5, 2, 4])
        return tf.reshape(z, [-1, h, w, channels, i * j])

    return Affine(select)


def _places(size, pool, stride, padding):
    """int [outputs, pool]: the positions of each window along one axis."""
    if padding == "same":
        count = -(-size // stride)
        before = max((count - 1) * stride + pool - size, 0) // 2
    else:
        count, before = (size - pool) // stride + 1, 0
    places = np.arange(count)[:, None] * stride + np.arange(pool)[None, :] - before
    return np.clip(places, 0, size - 1)
