"""Where a player may be: projections, and proximal steps, from a list of tensors to such a list.

A solver applies one after every change of a player. Each is a frozen dataclass, so that a
solver's repr says it; any function of the same kind will do.
"""

import dataclasses

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Box:
    """The nearest point with every entry in [low, high], low <= high.

    >>> [x.numpy().tolist() for x in Box(-0.5, 0.5)([tf.constant([-2.0, 0.25])])]
    [[-0.5, 0.25]]
    """

    low: float
    high: float

    def __post_init__(self):
        if not self.low <= self.high:
            raise ValueError(f"Expected low <= high. Received low={self.low}, high={self.high}.")

    def __call__(self, tensors):
        return [tf.clip_by_value(x, self.low, self.high) for x in tensors]


@dataclasses.dataclass(frozen=True)
class L2Ball:
    """The nearest point whose Euclidean norm, over all tensors of the player, is at most radius.

    >>> [x.numpy().tolist() for x in L2Ball(1.0)([tf.constant([3.0]), tf.constant([4.0])])]
    [[0.6000000238418579], [0.800000011920929]]
    """

    radius: float

    def __post_init__(self):
        if not self.radius > 0:
            raise ValueError(f"Expected a radius above 0. Received {self.radius}.")

    def __call__(self, tensors):
        # A maximum with radius inside the root keeps the derivative at 0 finite.
        squares = tf.add_n([tf.reduce_sum(x * x) for x in tensors])
        norm = tf.sqrt(tf.maximum(squares, self.radius**2))
        return [x * (self.radius / norm) for x in tensors]


@dataclasses.dataclass(frozen=True)
class SoftThreshold:
    """The proximal step of amount * ||.||_1: argmin_y amount ||y||_1 + ||y - x||^2 / 2.

    After a gradient step of rate r, amount = r * c makes a proximal gradient step on f + c||.||_1.

    >>> [x.numpy().tolist() for x in SoftThreshold(0.5)([tf.constant([-2.0, 0.25])])]
    [[-1.5, 0.0]]
    """

    amount: float

    def __post_init__(self):
        if not self.amount >= 0:
            raise ValueError(f"Expected an amount of at least 0. Received {self.amount}.")

    def __call__(self, tensors):
        return [tf.sign(x) * tf.maximum(tf.abs(x) - self.amount, 0) for x in tensors]
