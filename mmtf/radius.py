"""Radii on two scales: eta for pixels in [-1, 1], eps for pixels in [0, 1]. No TensorFlow here.

The paper and this package count in eta, most of the field in eps or in 255ths of it. The box
[-1, 1] is twice as wide as [0, 1], so eta = 2 eps in every norm.
"""

import fractions
import math

from mmtf.errors import ConfigError, is_number, require

Box = tuple[float, float]
PIXELS = (-1.0, 1.0)


def parse_radius(text: str) -> float:
    """The number that a text says; `8/255` is the float nearest to the fraction.

    Raises:
      ConfigError: another text.

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
    """Raises ConfigError unless `radius` is > 0 and finite."""
    good = is_number(radius) and math.isfinite(radius) and radius > 0
    require(good, f"{name} > 0 and finite (eta for pixels in [-1, 1], eps = eta / 2)", radius)


def eta_of(epsilon: float, box: Box = PIXELS) -> float:
    """The radius on the scale of `box` of one for pixels in [0, 1].

    Example:
      >>> eta_of(0.15), eta_of(0.15, box=(0.0, 1.0))
      (0.3, 0.15)
    """
    return epsilon * (box[1] - box[0])


def epsilon_of(eta: float, box: Box = PIXELS) -> float:
    """The radius for pixels in [0, 1] of one on the scale of `box`."""
    return eta / (box[1] - box[0])


def describe_radius(eta: float, box: Box = PIXELS, norm: str = "linf") -> str:
    """A radius on both scales, in a sentence's words; 255ths where it bounds single pixels.

    Example:
      >>> describe_radius(0.3), describe_radius(2.0, norm="l2")
      ('eta 0.3 (eps 0.15 on [0, 1], 38.25/255)', 'eta 2 (eps 1 on [0, 1])')
    """
    epsilon = epsilon_of(eta, box)
    parts = f", {255 * epsilon:g}/255" if norm == "linf" else ""
    return f"eta {eta:g} (eps {epsilon:g} on [0, 1]{parts})"


def radius_title(eta: float, norm: str = "linf", *, standardized: bool = False) -> str:
    """A radius for pixels in [-1, 1] on both scales, short enough for the title of a table.

    Args:
      eta: the radius.
      norm: `linf` or `l2`.
      standardized: whether eta is on the scale of images that were standardized one by one,
        where no eps means the same for all.

    Example:
      >>> [radius_title(0.3), radius_title(2.0, "l2"), radius_title(0.06, standardized=True)]
      ['eta 0.3 (eps 38.25/255)', 'eta 2 (eps 1)', 'eta 0.06']
    """
    if standardized:
        return f"eta {eta:g}"
    epsilon = epsilon_of(eta)
    return f"eta {eta:g} (eps {f'{255 * epsilon:g}/255' if norm == 'linf' else f'{epsilon:g}'})"
