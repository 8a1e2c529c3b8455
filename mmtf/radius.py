"""Converts radii between two scales: eta for pixels in [-1, 1], eps for pixels in [0, 1].

The paper and this package state eta; most publications state eps, often in 255ths. The box [-1, 1]
is twice as wide as [0, 1], so eta = 2 eps in every norm. A radius is a number for all values of an
image; in l-infinity it may also be an array: a radius for each channel or value. This module does
not import TensorFlow.
"""

import fractions
import hashlib
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from mmtf.errors import ConfigError, require

Box = tuple[float, float]
# A number, or nested tuples of the shape [C] or [H, W, C] (or one that broadcasts to it).
Radius = float | tuple[Any, ...]
PIXELS = (-1.0, 1.0)
# Arrays of more numbers are named by their largest number and a digest.
LONGEST_TEXT = 8
WANTED = "> 0 and finite (eta for pixels in [-1, 1], eps = eta / 2)"


def parse_radius(text: str) -> Radius:
    """Parses a radius written as a number or as a fraction, such as `8/255`.

    Numbers separated by colons are the radii of the channels, `0.1:0.2:0.3` those of red, green and
    blue.

    Raises:
      ConfigError: the text is neither.

    Example:
      >>> parse_radius("8/255") == 8 / 255, parse_radius("0.3"), parse_radius("0.1:1/5:0.3")
      (True, 0.3, (0.1, 0.2, 0.3))
    """
    try:
        numbers = [
            float(fractions.Fraction(part)) if "/" in part else float(part)
            for part in text.split(":")
        ]
    except (ValueError, ZeroDivisionError, OverflowError) as error:
        raise ConfigError(
            f"Expected a radius as a number or a fraction, 0.3 or 8/255. Received: {text!r}."
        ) from error
    return numbers[0] if len(numbers) == 1 else tuple(numbers)


def as_radius(name: str, radius: Any) -> Radius:
    """The radius as a float or, of an array, as nested tuples of floats.

    Args:
      name: `eta` or `epsilon`, for the message.
      radius: a number or a text (`parse_radius`); or numbers as an array, list or tuple of the
        shape [C] or [H, W, C], or one that broadcasts to the latter, as [1, 1, C].

    Raises:
      ConfigError: not a number, not finite, negative, or no value > 0; another shape.

    Example:
      >>> as_radius("eta", "8/255") == 8 / 255, as_radius("eta", [0.1, 0, 0.3])
      (True, (0.1, 0.0, 0.3))
    """
    try:
        value = parse_radius(radius) if isinstance(radius, str) else radius
    except ConfigError as error:
        raise ConfigError(str(error).replace("a radius", name, 1)) from error
    try:
        array = np.asarray(value)
    except ValueError:  # rows of different lengths
        array = np.asarray(None)
    numeric = array.dtype.kind in "iuf"
    if numeric and array.ndim == 0:
        number = float(array)
        require(math.isfinite(number) and number > 0, f"{name} {WANTED}", radius)
        return number
    if array.ndim == 0:
        require(False, f"{name} {WANTED}", radius)
    right = numeric and array.ndim in (1, 3) and array.size > 0
    shape = f"{array.dtype} of shape {array.shape}"
    require(right, f"{name} as a number, or as numbers of the shape [C] or [H, W, C]", shape)
    good = bool(np.isfinite(array).all() and (array >= 0).all() and (array > 0).any())
    require(
        good, f"{name} of numbers >= 0 and finite, one of them > 0", radius_text(_nested(array))
    )
    return _nested(array)


def _nested(array: np.ndarray) -> tuple[Any, ...]:
    return tuple(float(one) if array.ndim == 1 else _nested(one) for one in array)


def require_norm(radius: Radius, norm: str) -> None:
    """Raises ConfigError for an array with another norm than linf."""
    wanted = f"eta as one number with the norm {norm} (an array needs linf)"
    require(isinstance(radius, float) or norm == "linf", wanted, radius_text(radius))


def largest(radius: Radius) -> float:
    """The largest number of a radius.

    Example:
      >>> largest(0.3), largest((0.1, 0.2))
      (0.3, 0.2)
    """
    return max(_numbers(radius))


def radius_text(radius: Radius | str, form: str = "{:g}") -> str:
    """A radius in short: `0.3`, or per channel `0.1:0.2:0.3`; a text is returned as it is.

    Of a radius with more than 8 numbers the largest and a digest of all are told.

    Args:
      radius: as of `as_radius`, or its text.
      form: of one number.

    Example:
      >>> radius_text(0.3), radius_text((0.1, 0.2, 0.3)), radius_text(((((0.1,) * 9),),))
      ('0.3', '0.1:0.2:0.3', 'up to 0.1 (array fc671a75)')
    """
    if isinstance(radius, str):
        return radius
    numbers = list(_numbers(radius))
    if len(numbers) <= LONGEST_TEXT:
        return ":".join(form.format(number) for number in numbers)
    digest = hashlib.sha256(repr(radius).encode()).hexdigest()[:8]
    return f"up to {form.format(max(numbers))} (array {digest})"


def radius_entry(radius: Radius) -> float | str:
    """A radius as tables and records have it: a number, or the text of an array.

    Example:
      >>> radius_entry(0.3), radius_entry((0.1, 0.2))
      (0.3, '0.1:0.2')
    """
    return radius if isinstance(radius, float) else radius_text(radius)


def _numbers(radius: Radius) -> Iterator[float]:
    if isinstance(radius, tuple | list):
        for one in radius:
            yield from _numbers(one)
    else:
        yield radius


def _each(radius: Any, change: Callable[[float], float]) -> Any:
    if isinstance(radius, tuple):
        return tuple(_each(one, change) for one in radius)
    return change(radius)


def eta_of(epsilon: Radius, box: Box = PIXELS) -> Radius:
    """Converts a radius for pixels in [0, 1] to the scale of `box`: epsilon (high - low).

    Example:
      >>> eta_of(0.15), eta_of(0.15, box=(0.0, 1.0))
      (0.3, 0.15)
    """
    return _each(epsilon, lambda one: one * (box[1] - box[0]))


def epsilon_of(eta: Radius, box: Box = PIXELS) -> Radius:
    """Converts a radius on the scale of `box` to pixels in [0, 1]: eta / (high - low)."""
    return _each(eta, lambda one: one / (box[1] - box[0]))


def describe_radius(eta: Radius, box: Box = PIXELS, norm: str = "linf") -> str:
    """A radius on both scales, as text within a sentence; for `linf` also in 255ths.

    Args:
      eta: radius on the scale of `box`.
      box: (low, high), the range of a pixel.
      norm: `linf`, `l2` or `l1`.

    Example:
      >>> describe_radius(0.3), describe_radius(2.0, norm="l2")
      ('eta 0.3 (eps 0.15 on [0, 1], 38.25/255)', 'eta 2 (eps 1 on [0, 1])')
    """
    epsilon = epsilon_of(eta, box)
    parts = f", {_in_255ths(epsilon)}" if norm == "linf" else ""
    return f"eta {radius_text(eta)} (eps {radius_text(epsilon)} on [0, 1]{parts})"


def radius_title(eta: Radius | str, norm: str = "linf", *, standardized: bool = False) -> str:
    """A radius on both scales, as text for the title of a table; for `linf` in 255ths.

    Args:
      eta: the radius, or its text (`radius_entry`).
      norm: `linf`, `l2` or `l1`.
      standardized: whether each image was standardized by its own mean and deviation. Then one eta
        is a different eps for each image, and the text has no eps.

    Example:
      >>> [radius_title(0.3), radius_title(2.0, "l2"), radius_title(0.06, standardized=True)]
      ['eta 0.3 (eps 38.25/255)', 'eta 2 (eps 1)', 'eta 0.06']
      >>> radius_title("0.1:0.2")
      'eta 0.1:0.2 (eps 12.75:25.5/255)'
    """
    if isinstance(eta, str) and "array" not in eta:
        eta = parse_radius(eta)
    if standardized or isinstance(eta, str):
        return f"eta {radius_text(eta)}"
    epsilon = epsilon_of(eta)
    shown = _in_255ths(epsilon) if norm == "linf" else radius_text(epsilon)
    return f"eta {radius_text(eta)} (eps {shown})"


def _in_255ths(epsilon: Radius) -> str:
    return radius_text(_each(epsilon, lambda one: 255 * one)) + "/255"
