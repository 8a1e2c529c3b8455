"""Random points of the l-infinity ball, and sizes where each value has a radius of its own."""

from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow import Tensor


def random_delta(shape: Tensor, seed: Tensor, eta: float | np.ndarray, dtype: tf.DType) -> Tensor:
    """Points drawn uniformly from the ball of radius eta around 0.

    Args:
      shape: of the points, int32 [rank].
      seed: int tensor [2].
      eta: radius, or an array of radii that broadcasts to the shape.
      dtype: of the points.
    """
    if isinstance(eta, float):
        return tf.random.stateless_uniform(shape, seed, -eta, eta, dtype)
    return eta * tf.random.stateless_uniform(shape, seed, -1.0, 1.0, dtype)


def divided(delta: np.ndarray, weights: Any, rounding: float) -> np.ndarray:
    """|delta| / weights, float64 of the shape of `delta`.

    Args:
      delta: changes, float64 [N, ...].
      weights: >= 0, an array that broadcasts over `delta`.
      rounding: the largest change that counts as none where the weight is 0; a larger one has the
        size infinity.
    """
    size = np.abs(delta)
    found = np.where(size <= rounding, 0.0, np.inf)
    weights = np.broadcast_to(np.asarray(weights, np.float64), delta.shape)
    return np.divide(size, weights, out=found, where=weights > 0)
