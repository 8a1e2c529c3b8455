"""Steps of Adam (Kingma & Ba 2015) for the parameters of bounds, which change in number."""

from typing import Any, NamedTuple

import tensorflow as tf
from tensorflow import Tensor

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-12


class Moments(NamedTuple):
    """Running means of the gradients and of their squares, nested as the parameters."""

    mean: Any
    square: Any

    @classmethod
    def zero(cls, parameters: Any) -> "Moments":
        """The moments before the first step."""
        zeros = tf.nest.map_structure(tf.zeros_like, parameters)
        return cls(zeros, zeros)


def ascend(moments: Moments, gradients: Any, number: Tensor) -> tuple[Moments, Any]:
    """The moments after a step, and the change of the parameters at a learning rate of 1.

    Args:
      moments: before the step.
      gradients: nested tensors.
      number: of the step, from 1, a float64 scalar.
    """
    flat = [tf.nest.flatten(one) for one in (*moments, gradients)]
    means, squares, changes = [], [], []
    for mean, square, gradient in zip(*flat, strict=True):
        means.append(BETA_1 * mean + (1 - BETA_1) * gradient)
        squares.append(BETA_2 * square + (1 - BETA_2) * gradient**2)
        size = tf.sqrt(squares[-1] / (1 - BETA_2**number)) + EPSILON
        changes.append(means[-1] / (1 - BETA_1**number) / size)
    packed = [tf.nest.pack_sequence_as(gradients, one) for one in (means, squares, changes)]
    return Moments(*packed[:2]), packed[2]
