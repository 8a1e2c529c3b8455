"""Steps, projection and random points of the l2 ball within the box.

A ball of radius eta around an image x in the box; all tensors are [N, ...], float32.
"""

import tensorflow as tf
from tensorflow import Tensor

# Iterations of the projection, and the smallest divisor.
ROUNDS, TINY = 2, 1e-12


def project(z: Tensor, x: Tensor, eta: float, low: float, high: float) -> Tensor:
    """The box's nearest point to x + t (z - x), with t <= 1 as large as the ball allows.

    The iterations approach t from below, so the result never leaves the ball, but t may be slightly
    too small if many pixels reach the box.
    """
    delta = z - x
    scale = tf.minimum(1.0, eta / tf.maximum(_lengths(delta), TINY))
    for _ in range(ROUNDS):
        moved = x + scale * delta
        kept = tf.clip_by_value(moved, low, high)
        free = kept == moved
        # Pixels clipped to the box use less of eta^2; the other pixels may use the rest.
        left = eta**2 - _squares(tf.where(free, 0.0, kept - x))
        length = tf.sqrt(_squares(tf.where(free, delta, 0.0)))
        longer = tf.sqrt(tf.maximum(left, 0.0)) / tf.maximum(length, TINY)
        scale = tf.clip_by_value(longer, scale, 1.0)
    return tf.clip_by_value(x + scale * delta, low, high)


def steepest_step(gradient: Tensor) -> Tensor:
    """argmax over ||d||_2 <= 1 of <gradient, d>: the gradient over its length; 0 for zeros."""
    # Dividing by the largest entry first keeps the squares of tiny gradients above zero.
    largest = tf.reduce_max(tf.abs(gradient), _axes(gradient), keepdims=True)
    gradient = tf.math.divide_no_nan(gradient, largest)
    return tf.math.divide_no_nan(gradient, _lengths(gradient))


def random_delta(shape: Tensor, seed: Tensor, eta: float, dtype: tf.DType) -> Tensor:
    """Points drawn uniformly from the ball of radius eta around 0.

    In d dimensions they are a normalized Gaussian, scaled by eta U^(1/d).

    Args:
      shape: of the points, int32 [rank].
      seed: int tensor [2].
      eta: radius.
      dtype: of the points.
    """
    direction = tf.random.stateless_normal(shape, seed, dtype=dtype)
    count = tf.concat([shape[:1], tf.ones([tf.size(shape) - 1], tf.int32)], 0)
    uniform = tf.random.stateless_uniform(count, seed + 1, dtype=dtype)
    dimension = tf.cast(tf.reduce_prod(shape[1:]), dtype)
    radius = eta * uniform ** (1.0 / dimension)
    return radius * direction / _lengths(direction)


def _axes(tensor):
    return list(range(1, tensor.shape.rank))


def _lengths(delta):
    return tf.sqrt(_squares(delta))


def _squares(delta):
    return tf.reduce_sum(tf.square(delta), _axes(delta), keepdims=True)
