"""Test functions on |u|, |v| <= 1/2 with known minimax solutions, for comparing solvers.

Each acts elementwise on tensors of any shape: each element is an independent game.
"""

import dataclasses
import math
from collections.abc import Callable

import tensorflow as tf

LOW, HIGH = -0.5, 0.5


@dataclasses.dataclass(frozen=True)
class Surface:
    """A test function with its minimax solution.

    Attributes:
      formula: f as text.
      f: (u, v) -> values, elementwise, for u and v in [-1/2, 1/2].
      u_star: all minimizers of max_v f(u, v).
      value: min_u max_v f(u, v).
      saddle: whether min_u max_v f = max_v min_u f, in which case the solution is a saddle point.

    >>> SURFACES["anti-saddle"].distance(tf.constant([0.25, -0.5])).numpy().tolist()
    [0.25, 0.5]
    """

    formula: str
    f: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
    u_star: tuple[float, ...]
    value: float
    saddle: bool

    def distance(self, u: tf.Tensor) -> tf.Tensor:
        """Distance |u - u*| to the nearest minimizer, elementwise, of the shape of u."""
        return tf.reduce_min([tf.abs(u - x) for x in self.u_star], axis=0)


def _weapons(u, v):
    left = 1 - tf.exp(-10 * (u + 0.5) * tf.exp(-(v + 0.5)))
    right = 1 - tf.exp(-10 * (0.5 - u) * tf.exp(-(0.5 - v)))
    return -(left + right)


SURFACES = {
    "saddle": Surface("5(u^2 - v^2)", lambda u, v: 5 * (u**2 - v**2), (0.0,), 0.0, True),
    "rotated saddle": Surface(
        "u^2 - v^2 + 2uv", lambda u, v: u**2 - v**2 + 2 * u * v, (0.0,), 0.0, True
    ),
    "sine": Surface("-v sin(pi u)", lambda u, v: -v * tf.sin(math.pi * u), (0.0,), 0.0, True),
    "monkey saddle": Surface(
        "v^3 - 3vu^2", lambda u, v: v**3 - 3 * v * u**2, (-0.25, 0.25), 1 / 32, False
    ),
    "anti-saddle": Surface(
        "2v^2 - (u - v)^2", lambda u, v: 2 * v**2 - (u - v) ** 2, (0.0,), 1 / 4, False
    ),
    "weapons": Surface(
        "-[1 - exp(-10(u+1/2)e^-(v+1/2))] - [1 - exp(-10(1/2-u)e^-(1/2-v))]",
        _weapons,
        (0.0,),
        -(2 - math.exp(-5 / math.e) - math.exp(-5)),
        False,
    ),
}
