"""`Ball`: the perturbations that a bound covers, and the least value of a linear function."""

import dataclasses
import math
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow import Tensor

from mmtf.config import NORMS
from mmtf.errors import ConfigError, require, require_choice, require_range, shown
from mmtf.norms.sizes import norms_of, slack
from mmtf.radius import PIXELS, Box, as_radius, largest, require_norm
from mmtf.threat import ThreatModel

# Rounds of the search for the multiplier of the l2 ball. Every round gives a valid bound; with few
# clipped pixels the first two are exact to rounding.
ROUNDS = 10
TINY = 1e-300


class Region(NamedTuple):
    """The ball around each image of a batch, as float64 tensors.

    Attributes:
      x: [N, ...], the images.
      low: [N, ...], the least value of each pixel in the ball and the box.
      high: [N, ...], the greatest one.
      eta: the radius, a scalar.
    """

    x: Tensor
    low: Tensor
    high: Tensor
    eta: Tensor


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ball:
    """All z with ||z - x||_p <= eta and every pixel in the box, in exact arithmetic.

    It is the ball of `ThreatModel`, in which attacks compute in float32.

    Attributes:
      eta: radius, > 0, on the scale of the box; with linf also an array, as of `ThreatModel`.
      norm: `linf`, `l2` or `l1`.
      box: (low, high), the smallest and the largest value of a pixel.

    Raises:
      ConfigError: eta is not positive and finite, the norm is unknown, or low >= high.

    Example:
      >>> Ball(eta=3.0, norm="l1")
      Ball(eta=3.0, norm='l1', box=(-1.0, 1.0))
    """

    eta: Any
    norm: str = "linf"
    box: Box = PIXELS

    def __post_init__(self):
        object.__setattr__(self, "eta", as_radius("eta", self.eta))
        require_choice("norm", self.norm, NORMS)
        require_norm(self.eta, self.norm)
        require_range("box", self.box)

    def region(self, x: Any) -> Region:
        """The ball around each image.

        Args:
          x: images in the box, float [N, ...].

        Raises:
          ConfigError: a pixel lies outside the box or is NaN, or there are no images.
        """
        x = np.asarray(x, np.float64)
        require(len(x) > 0, "at least one image", x.shape)
        low, high = self.box
        inside = low <= x.min() and x.max() <= high
        require(inside, f"images in the box [{low}, {high}]", [float(x.min()), float(x.max())])
        eta = self._radii(x.shape[1:])
        bounds = np.maximum(x - eta, low), np.minimum(x + eta, high)
        return Region(*map(tf.constant, (x, *bounds, np.float64(largest(self.eta)))))

    def contains(self, z: Any, x: Any) -> np.ndarray:
        """bool [N]: which points z, float [N, ...], lie in the ball around x and in the box."""
        z, x = np.asarray(z, np.float64), np.asarray(x, np.float64)
        low, high = self.box
        inside = ((low <= z) & (z <= high)).reshape(len(x), -1).all(1)  # False for NaN
        if self.norm == "linf":
            return inside & (np.abs(z - x) <= self._radii(x.shape[1:])).reshape(len(x), -1).all(1)
        return inside & (norms_of(z - x, self.norm) <= self.eta)

    def with_tolerance(self, size: int) -> "Ball":
        """The ball enlarged by the rounding that evaluations grant to attacks.

        `ThreatModel.violations` accepts float32 images slightly outside the ball. A certificate has
        to cover them, too.

        Args:
          size: number of pixels of an image, times channels.
        """
        rounding = slack(self.norm, self.eta, self.box, size)
        return dataclasses.replace(self, eta=np.asarray(self.eta, np.float64) + rounding)

    def _radii(self, shape):
        """The radius of each value of an image, float64 of its shape."""
        eta = np.asarray(self.eta, np.float64)
        fits = eta.ndim <= len(shape) and all(
            a in (1, b) for a, b in zip(reversed(eta.shape), reversed(shape), strict=False)
        )
        require(fits, f"eta that broadcasts over images {shape}", eta.shape)
        return np.broadcast_to(eta, shape)


def as_ball(threat: Any) -> Ball:
    """The ball of a threat model; a Ball is returned unchanged.

    Raises:
      ConfigError: `threat` is another object, or a subclass of ThreatModel, whose constraint may
        differ from a ball.
    """
    if isinstance(threat, Ball):
        return threat
    if type(threat) is not ThreatModel:
        raise ConfigError(
            f"Expected threat=mmtf.ThreatModel(eta=...) or mmtf.bounds.Ball(eta=..., norm='l1') "
            f"for a bound. Received: {shown(threat)}."
        )
    # Attacks clip in float32, which may round an end of the box outwards.
    low, high = threat.box
    box = (min(low, float(np.float32(low))), max(high, float(np.float32(high))))
    return Ball(eta=threat.eta, norm=threat.norm, box=box)


def minimum(norm: str, a: Tensor, region: Region) -> Tensor:
    """min of <a, z> over the z of the ball and the box.

    Without the box it is <a, x> - eta ||a||_q with the dual norm 1/p + 1/q = 1 (Zhang et al. 2018,
    "Efficient neural network robustness certification with general activation functions", Eq. 7).
    With the box, pixel i can move by at most t_i in the direction that lowers <a, z>, and the
    decrease is max of sum_i |a_i| p_i over 0 <= p_i <= t_i, ||p||_p <= eta:

    - linf: p = t, because t already respects eta;
    - l1: the pixels of greatest |a_i| first, as far as the budget eta goes;
    - l2: p_i = min(|a_i| / m, t_i) with the multiplier m >= 0 at which ||p||_2 = eta. For every m
      the Lagrangian sum_i (|a_i| p_i - m p_i^2 / 2) + m eta^2 / 2 is at least the maximum, so an
      inexact m gives a valid, slightly looser bound.

    The gradient with respect to `a` is the minimizer z.

    Args:
      norm: `linf`, `l2` or `l1`.
      a: float64 [R, ...].
      region: of R images, the shapes of `a`.

    Returns:
      float64 [R].
    """
    axes = list(range(1, a.shape.rank))
    if norm == "linf":
        return tf.reduce_sum(tf.where(a > 0, a * region.low, a * region.high), axes)
    flat = [tf.reshape(part, [tf.shape(a)[0], math.prod(a.shape[1:])]) for part in (a, *region[:3])]
    a, x, low, high = flat
    room = tf.where(a > 0, x - low, high - x)
    size = tf.abs(a)
    decrease = _l1_decrease if norm == "l1" else _l2_decrease
    return tf.reduce_sum(a * x, 1) - decrease(size, room, region.eta)


def dual_norm(norm: str, a: Tensor) -> Tensor:
    """||a||_q of each row, float64 [R], for the norm q dual to `norm`: 1, 2 or infinity."""
    axes = list(range(1, a.shape.rank))
    if norm == "linf":
        return tf.reduce_sum(tf.abs(a), axes)
    if norm == "l2":
        return tf.sqrt(tf.reduce_sum(a * a, axes))
    return tf.reduce_max(tf.abs(a), axes)


def _l1_decrease(size, room, eta):
    order = tf.argsort(size, 1, "DESCENDING")
    room = tf.gather(room, order, batch_dims=1)
    before = tf.cumsum(room, 1, exclusive=True)
    taken = tf.minimum(tf.maximum(eta - before, 0.0), room)
    return tf.reduce_sum(tf.gather(size, order, batch_dims=1) * tf.stop_gradient(taken), 1)


def _l2_decrease(size, room, eta):
    fixed = tf.stop_gradient(size)
    m = tf.sqrt(tf.reduce_sum(fixed**2, 1, keepdims=True)) / eta
    for _ in range(ROUNDS):  # m falls, and more pixels use all their room
        free = fixed < m * room
        left = eta**2 - tf.reduce_sum(
            tf.where(free, tf.zeros_like(room), room) ** 2, 1, keepdims=True
        )
        length = tf.sqrt(tf.reduce_sum(tf.where(free, fixed, 0.0) ** 2, 1, keepdims=True))
        m = tf.minimum(m, length / tf.sqrt(tf.maximum(left, TINY)))
    taken = tf.where(fixed < m * room, fixed / tf.maximum(m, TINY), room)
    whole = size * taken - m * taken**2 / 2
    dual = tf.reduce_sum(whole, 1) + m[:, 0] * eta**2 / 2
    return tf.minimum(dual, tf.reduce_sum(size * room, 1))
