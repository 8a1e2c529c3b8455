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
# Halvings of the interval in which a touching point is searched.
BISECTIONS = 20
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
    middle. Otherwise the upper line goes through (low, f(low)) and touches f above the center, or
    is the chord if there is no such point below high; the lower line likewise from (high, f(high))
    (Zhang et al. 2018, section 3.3). A convex f has the center infinity.
    """

    f: Callable[[Tensor], Tensor]
    derivative: Callable[[Tensor], Tensor]
    center: float = 0.0

    def forward(self, z: Tensor) -> Tensor:
        return self.f(z)

    def lines(self, low: Tensor, high: Tensor) -> Lines:
        at_low, at_high = self.f(low), self.f(high)
        narrow = high - low < NARROW
        slope = (at_high - at_low) / tf.where(narrow, tf.ones_like(low), high - low)
        chord = slope, at_low - slope * low
        middle = self._tangent((low + high) / 2)
        lower = upper = chord
        if math.isfinite(self.center):
            lower, upper = (
                self._touching(high, low, 1.0, chord),
                self._touching(low, high, -1.0, chord),
            )
        concave, convex = low >= self.center, high <= self.center
        lower = _where(concave, chord, _where(convex, middle, lower))
        upper = _where(concave, middle, _where(convex, chord, upper))
        none = tf.zeros_like(low)
        return Lines(
            *_where(narrow, (none, at_low), lower), *_where(narrow, (none, at_high), upper)
        )

    def _tangent(self, d):
        slope = self.derivative(d)
        return slope, self.f(d) - slope * d

    def _touching(self, end, other, sign, chord):
        """The tangent through (end, f(end)), on the other side of the center, or the chord.

        A tangent there encloses f as soon as it does at `end`: bisection keeps such a point.
        """

        def encloses(d):
            slope, intercept = self._tangent(d)
            return sign * (self.f(end) - slope * end - intercept) >= 0

        near, far = tf.fill(tf.shape(end), tf.cast(self.center, end.dtype)), other
        for _ in range(BISECTIONS):
            middle = (near + far) / 2
            good = encloses(middle)
            near, far = tf.where(good, near, middle), tf.where(good, middle, far)
        return _where(encloses(other), self._tangent(far), chord)


def _where(condition, one, other):
    """tf.where of two lines (slope, intercept)."""
    return tuple(tf.where(condition, a, b) for a, b in zip(one, other, strict=True))


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
