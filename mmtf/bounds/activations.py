"""Activations between two lines: lower_slope z + lower_intercept <= f(z) <= upper_slope z + ...

Three shapes cover Keras' activations: piecewise linear and convex (ReLU), S-shaped (tanh), and
smooth with a bounded second derivative (GELU, which is not monotone).
"""

import dataclasses
import math
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf
from tensorflow import Tensor

# Below this width an S-shaped function is bounded by two constants: the slope of its chord would
# be a quotient of rounding errors.
NARROW = 1e-6
# Points at which the difference of a smooth function and a line is computed.
GRID = 64


class Lines(NamedTuple):
    """Slopes and intercepts of the two lines, float64 tensors of the shape of the input."""

    lower_slope: Tensor
    lower_intercept: Tensor
    upper_slope: Tensor
    upper_intercept: Tensor


class Activation:
    """A function of single values with bounds on an interval."""

    def forward(self, z: Tensor) -> Tensor:
        """f(z)."""
        raise NotImplementedError

    def interval(self, bounds: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """The range of f on [low, high]: of a nondecreasing f its values at the ends."""
        low, high = bounds
        return self.forward(low), self.forward(high)

    def lines(self, low: Tensor, high: Tensor) -> Lines:
        """Two lines that enclose f on [low, high]."""
        raise NotImplementedError

    def loose(self, low: Tensor, high: Tensor) -> Tensor:
        """bool: where tighter bounds of the input give tighter lines."""
        return high > low

    def backward(self, a: Tensor, lines: Lines) -> tuple[Tensor, Tensor]:
        """A linear function of z that is at most <a, f(z)> (Zhang et al. 2018, Theorem 3.2).

        Positive coefficients take the lower line, negative ones the upper line.

        Args:
          a: [R, ...].
          lines: of R rows.

        Returns:
          The coefficients [R, ...] and the constants [R].
        """
        up, down = tf.maximum(a, 0.0), tf.minimum(a, 0.0)
        axes = list(range(1, a.shape.rank))
        constant = tf.reduce_sum(up * lines.lower_intercept + down * lines.upper_intercept, axes)
        return up * lines.lower_slope + down * lines.upper_slope, constant


@dataclasses.dataclass(frozen=True)
class LeakyReLU(Activation):
    """max(z, s z) with 0 <= s < 1; s = 0 is the ReLU.

    Where low < 0 < high, the upper line is the chord; the lower line goes through 0 with a slope
    in [s, 1]: 1 if high >= -low, else s (Zhang et al. 2018, section 3.3). Elsewhere both lines
    equal f.
    """

    slope: float = 0.0

    def forward(self, z: Tensor) -> Tensor:
        return tf.where(z > 0, z, self.slope * z)

    def loose(self, low: Tensor, high: Tensor) -> Tensor:
        return (low < 0) & (high > 0)

    def lines(self, low: Tensor, high: Tensor) -> Lines:
        loose = self.loose(low, high)
        certain = tf.where(low >= 0, tf.ones_like(low), self.slope * tf.ones_like(low))
        width = tf.where(loose, high - low, 1.0)
        chord = (high - self.slope * low) / width
        adaptive = tf.where(high >= -low, tf.ones_like(low), self.slope * tf.ones_like(low))
        # The chord meets f at both ends: at high it is chord * high + intercept = high.
        intercept = tf.where(loose, (1.0 - chord) * high, 0.0)
        return Lines(
            tf.where(loose, adaptive, certain),
            tf.zeros_like(low),
            tf.where(loose, chord, certain),
            tf.maximum(intercept, 0.0),
        )


@dataclasses.dataclass(frozen=True)
class SShaped(Activation):
    """A nondecreasing f, convex below `center` and concave above, as tanh.

    On an interval on one side of the center, the lines are the chord and the tangent at the
    middle. Otherwise f' is least at an end of the interval, so with m = min(f'(low), f'(high)) the
    lines of slope m through the ends enclose f (Singh et al. 2019, "An abstract domain for
    certifying neural networks", section 4.4). A convex f has the center infinity.
    """

    f: Callable[[Tensor], Tensor]
    derivative: Callable[[Tensor], Tensor]
    center: float = 0.0

    def forward(self, z: Tensor) -> Tensor:
        return self.f(z)

    def lines(self, low: Tensor, high: Tensor) -> Lines:
        at_low, at_high, middle = self.f(low), self.f(high), (low + high) / 2
        narrow = high - low < NARROW
        chord = (at_high - at_low) / tf.where(narrow, tf.ones_like(low), high - low)
        tangent = self.derivative(middle)
        touching = self.f(middle) - tangent * middle
        least = tf.minimum(self.derivative(low), self.derivative(high))
        convex, concave = high <= self.center, low >= self.center
        through_low, through_high = at_low - chord * low, at_high - least * high
        lower_slope = tf.where(concave, chord, tf.where(convex, tangent, least))
        lower = tf.where(convex & ~concave, touching, at_low - least * low)
        lower = tf.where(concave, through_low, lower)
        upper_slope = tf.where(concave, tangent, tf.where(convex, chord, least))
        upper = tf.where(convex & ~concave, through_low, through_high)
        upper = tf.where(concave, touching, upper)
        none = tf.zeros_like(low)
        return Lines(
            tf.where(narrow, none, lower_slope),
            tf.where(narrow, at_low, lower),
            tf.where(narrow, none, upper_slope),
            tf.where(narrow, at_high, upper),
        )


@dataclasses.dataclass(frozen=True)
class Smooth(Activation):
    """A function that falls until `minimizer`, rises afterwards, and has |f''| <= curvature.

    Both lines have the slope of the chord. The extremes of f(z) - slope z are computed at GRID + 1
    points with distance h; between two of them a function with this second derivative exceeds
    neither by more than curvature h^2 / 8.
    """

    f: Callable[[Tensor], Tensor]
    minimizer: float
    curvature: float

    def forward(self, z: Tensor) -> Tensor:
        return self.f(z)

    def interval(self, bounds: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        low, high = bounds
        nearest = tf.minimum(tf.maximum(tf.cast(self.minimizer, low.dtype), low), high)
        return self.f(nearest), tf.maximum(self.f(low), self.f(high))

    def lines(self, low: Tensor, high: Tensor) -> Lines:
        wide = high - low
        narrow = wide < NARROW
        slope = (self.f(high) - self.f(low)) / tf.where(narrow, tf.ones_like(low), wide)
        slope = tf.where(narrow, tf.zeros_like(low), slope)
        least = tf.fill(tf.shape(low), tf.cast(math.inf, low.dtype))
        most = -least
        for number in range(GRID + 1):
            z = low + wide * (number / GRID)
            rest = self.f(z) - slope * z
            least, most = tf.minimum(least, rest), tf.maximum(most, rest)
        between = self.curvature * (wide / GRID) ** 2 / 8
        return Lines(slope, least - between, slope, most + between)
