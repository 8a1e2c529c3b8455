"""Converts radii between two scales: eta for pixels in [-1, 1], eps for pixels in [0, 1].

The paper and this package state eta; most publications state eps, often in 255ths. The box [-1, 1]
is twice as wide as [0, 1], so eta = 2 eps in every norm. This module does not import TensorFlow.
"""

import fractions
import math

from mmtf.errors import ConfigError, is_number, require

Box = tuple[float, float]
PIXELS = (-1.0, 1.0)


def parse_radius(text: str) -> float:
    """Parses a radius written as a number or as a fraction, such as `8/255`.

    Raises:
      ConfigError: the text is neither.

    Example:
      >>> parse_radius("8/255") == 8 / 255, parse_radius("0.3")
      (True, 0.3)
    """
    try:
        return float(fractions.Fraction(text)) if "/" in text else float(text)
    except (ValueError, ZeroDivisionError, OverflowError) as error:
        raise ConfigError(
            f"Expected a radius as a number or a fraction, 0.3 or 8/255. Received: {text!r}."
        ) from error


def require_radius(name: str, radius: float) -> None:
    """Raises ConfigError, which names `name`, unless `radius` is positive and finite."""
    good = is_number(radius) and math.isfinite(radius) and radius > 0
    require(good, f"{name} > 0 and finite (eta for pixels in [-1, 1], eps = eta / 2)", radius)


def eta_of(epsilon: float, box: Box = PIXELS) -> float:
    """Converts a radius for pixels in [0, 1] to the scale of `box`: epsilon (high - low).

    Example:
      >>> eta_of(0.15), eta_of(0.15, box=(0.0, 1.0))
      (0.3, 0.15)
    """
    return epsilon * (box[1] - box[0])


def epsilon_of(eta: float, box: Box = PIXELS) -> float:
    """Converts a radius on the scale of `box` to pixels in [0, 1]: eta / (high - low)."""
    return eta / (box[1] - box[0])


def describe_radius(eta: float, box: Box = PIXELS, norm: str = "linf") -> str:
    """A radius on both scales, as text within a sentence; for `linf` also in 255ths.

    Args:
      eta: radius on the scale of `box`.
      box: (low, high), the range of a pixel.
      norm: `linf` or `l2`.

    Example:
      >>> describe_radius(0.3), describe_radius(2.0, norm="l2")
      ('eta 0.3 (eps 0.15 on [0, 1], 38.25/255)', 'eta 2 (eps 1 on [0, 1])')
    """
    epsilon = epsilon_of(eta, box)
    parts = f", {255 * epsilon:g}/255" if norm == "linf" else ""
    return f"eta {eta:g} (eps {epsilon:g} on [0, 1]{parts})"


def radius_title(eta: float, norm: str = "linf", *, standardized: bool = False) -> str:
    """A radius on both scales, as text for the title of a table; for `linf` in 255ths.

    Args:
      eta: radius for pixels in [-1, 1].
      norm: `linf` or `l2`.
      standardized: whether each image was standardized by its own mean and deviation. Then one eta
        is a different eps for each image, and the text has no eps.

    Example:
      >>> [radius_title(0.3), radius_title(2.0, "l2"), radius_title(0.06, standardized=True)]
      ['eta 0.3 (eps 38.25/255)', 'eta 2 (eps 1)', 'eta 0.06']
    """
    if standardized:
        return f"eta {eta:g}"
    epsilon = epsilon_of(eta)
    return f"eta {eta:g} (eps {f'{255 * epsilon:g}/255' if norm == 'linf' else f'{epsilon:g}'})"
