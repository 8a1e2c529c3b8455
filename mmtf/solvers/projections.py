"""Projections and proximal steps that keep a player's variables within constraints.

Each maps a list of tensors, the values of all variables of a player, to a list of the same shapes;
a solver applies it after every update of that player. They are frozen dataclasses, so that the repr
of a solver shows them. Any function from a list of tensors to such a list can take their place.
"""

import dataclasses
from collections.abc import Sequence

import tensorflow as tf

from mmtf.errors import is_number, require, require_number


@dataclasses.dataclass(frozen=True)
class Box:
    """Projection onto a box: every entry is clipped to [low, high].

    Args:
      low, high: bounds, low <= high.

    >>> [x.numpy().tolist() for x in Box(-0.5, 0.5)([tf.constant([-2.0, 0.25])])]
    [[-0.5, 0.25]]
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        for name in ("low", "high"):
            require(is_number(getattr(self, name)), f"{name}, a number", getattr(self, name))
        require(self.low <= self.high, "low <= high", (self.low, self.high))

    def __call__(self, tensors: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        return [tf.clip_by_value(x, self.low, self.high) for x in tensors]


@dataclasses.dataclass(frozen=True)
class L2Ball:
    """Projection onto the L2 ball around 0; the norm is over all tensors of the player together.

    Args:
      radius: > 0.

    >>> [x.numpy().tolist() for x in L2Ball(1.0)([tf.constant([3.0]), tf.constant([4.0])])]
    [[0.6000000238418579], [0.800000011920929]]
    """

    radius: float

    def __post_init__(self) -> None:
        require_number("radius", self.radius, above=0)

    def __call__(self, tensors: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        # The maximum inside the root keeps the derivative at 0 finite.
        squares = tf.add_n([tf.reduce_sum(x * x) for x in tensors])
        norm = tf.sqrt(tf.maximum(squares, self.radius**2))
        return [x * (self.radius / norm) for x in tensors]


@dataclasses.dataclass(frozen=True)
class SoftThreshold:
    """Soft thresholding, the proximal step of amount * ||.||_1.

    It returns argmin_y amount ||y||_1 + ||y - x||^2 / 2. After a gradient step on f with learning
    rate r, amount = r * c makes it a proximal gradient step on f + c ||.||_1.

    Args:
      amount: >= 0.

    >>> [x.numpy().tolist() for x in SoftThreshold(0.5)([tf.constant([-2.0, 0.25])])]
    [[-1.5, 0.0]]
    """

    amount: float

    def __post_init__(self) -> None:
        require_number("amount", self.amount, at_least=0)

    def __call__(self, tensors: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        return [tf.sign(x) * tf.maximum(tf.abs(x) - self.amount, 0) for x in tensors]
