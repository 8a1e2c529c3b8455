"""Errors that the commands report in one line, and checks that raise them.

This module does not import TensorFlow.
"""

import math
import operator
import os
import re
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

SEEDS = 2**31
LONGEST = 500  # characters of what a message repeats
REASON = 300  # characters of what another library says

# What TensorFlow puts around a message: the node, the operation, a remark on its call stack.
_TENSORFLOW = re.compile(r"\{\{.*?\}\}|\[Op:\w+\](?: name:.*)?|\[\[.*?\]\]")


class ConfigError(ValueError):
    """An invalid setting or argument: "Expected ... Received ...", with the remedy if known."""


class BackendError(ConfigError, ImportError):
    """Keras runs on another backend than TensorFlow: the message says which, and what to set.

    It is an ImportError of `mmtf`, so that `python -m mmtf.run` ends in one line.
    """

    def __init__(self, message: str):
        super().__init__(message)
        self.msg, self.name = message, "mmtf"


class RunError(RuntimeError):
    """A run had to stop: the message states the cause and what to do."""


class Interrupted(Exception):
    """A signal stopped the training run between two steps.

    Attributes:
      signal: number of the signal, such as 15 for SIGTERM.
      step: the last completed training step.
      saved: whether a checkpoint of that step was written.
    """

    def __init__(self, number: int, step: int, saved: bool):
        super().__init__(f"Stopped by signal {number} at step {step}.")
        self.signal, self.step, self.saved = number, step, saved


def require(condition: bool, expected: str, received: Any) -> None:
    """Raises ConfigError("Expected {expected}. Received: {received!r}.") unless `condition`.

    Example:
      >>> require(2 < 1, "a number below 1", 2)
      Traceback (most recent call last):
      mmtf.errors.ConfigError: Expected a number below 1. Received: 2.
    """
    if not condition:
        raise ConfigError(f"Expected {expected}. Received: {shown(received)}.")


def shown(value: Any) -> str:
    """`repr` in one line of at most LONGEST characters, as of a model or an array.

    Example:
      >>> shown("0.3"), len(shown("a" * 1000))
      ("'0.3'", 503)
    """
    text = " ".join(line.strip() for line in repr(value).splitlines())
    return text if len(text) <= LONGEST else text[:LONGEST] + "..."


def require_choice(name: str, value: Any, choices: Iterable[Any]) -> None:
    """Raises ConfigError, which lists `choices`, unless `value` is one of them."""
    choices = list(choices)
    known = isinstance(value, Hashable) and value in choices  # an array cannot be compared
    require(known, f"{name} to be one of {', '.join(map(str, choices))}", value)


def require_int(name: str, value: Any, at_least: int = 1) -> None:
    """Raises ConfigError unless `value` is a whole number >= `at_least`; True is not a number.

    Args:
      name: of the argument.
      value: as it was given.
      at_least: the least that it can be.

    Example:
      >>> require_int("steps", 1.5)
      Traceback (most recent call last):
      mmtf.errors.ConfigError: Expected steps > 0, a whole number. Received: 1.5.
    """
    bound = f"{name} > {at_least - 1}" if at_least == 1 else f"{name} >= {at_least}"
    require(_is_whole(value), f"{bound}, a whole number", value)
    require(operator.index(value) >= at_least, bound, value)


def require_seed(value: Any, name: str = "seed") -> None:
    """Raises ConfigError unless `value` is a whole number in [0, 2^31)."""
    good = _is_whole(value) and 0 <= operator.index(value) < SEEDS
    require(good, f"{name} in [0, 2^31), a whole number", value)


def require_text(name: str, value: Any) -> None:
    """Raises ConfigError unless `value` is a text that is not empty."""
    require(isinstance(value, str) and bool(value.strip()), f"{name} as a text", value)


def require_path(name: str, value: Any) -> None:
    """Raises ConfigError unless `value` is a path: a text that is not empty, or an os.PathLike."""
    path = os.fspath(value) if isinstance(value, os.PathLike) else value
    require(isinstance(path, str) and bool(path.strip()), f"{name} as a path", value)


def require_names(name: str, value: Any) -> None:
    """Raises ConfigError unless `value` is a list or tuple of different names, at least one.

    Example:
      >>> require_names("attacks", "pgd")
      Traceback (most recent call last):
      mmtf.errors.ConfigError: Expected attacks as a list of names. Received: 'pgd'.
    """
    listed = isinstance(value, list | tuple) and all(isinstance(one, str) for one in value)
    require(listed, f"{name} as a list of names", value)
    require(bool(value), f"at least one of {name}", value)
    require(len(set(value)) == len(value), f"{name} of different names", value)


def require_same_names(where: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Raises ConfigError, with what is unknown and what is missing, unless the names are the same.

    Example:
      >>> require_same_names("of a run", ["eta", "sede"], ["eta", "seed"])
      Traceback (most recent call last):
      mmtf.errors.ConfigError: Expected the settings of a run. Received: unknown ['sede'], missing \
['seed'].
    """
    unknown, missing = sorted(set(given) - set(known)), sorted(set(known) - set(given))
    if unknown or missing:
        told = [f"unknown {unknown}"] * bool(unknown) + [f"missing {missing}"] * bool(missing)
        raise ConfigError(f"Expected the settings {where}. Received: {', '.join(told)}.")


def require_range(name: str, value: Any) -> None:
    """Raises ConfigError unless `value` is (low, high), two finite numbers with low < high.

    Example:
      >>> require_range("box", (0, 1))
    """
    pair = isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 2
    numbers = pair and all(is_number(one) and math.isfinite(one) for one in value)
    good = numbers and value[0] < value[1]
    require(good, f"{name} = (low, high) with low < high, finite", value)


def require_bool(name: str, value: Any) -> None:
    """Raises ConfigError unless `value` is True or False."""
    require(isinstance(value, bool), f"{name} to be True or False", value)


def require_number(
    name: str,
    value: Any,
    *,
    above: float | None = None,
    at_least: float | None = None,
    below: float | None = None,
    at_most: float | None = None,
) -> None:
    """Raises ConfigError unless `value` is a finite number within bounds; True is not a number.

    Args:
      name: of the argument.
      value: as it was given.
      above, at_least: the lower bound, one of them or none: value > above, value >= at_least.
      below, at_most: the upper bound, one of them or none.

    Example:
      >>> require_number("dropout", 2, at_least=0, below=1)
      Traceback (most recent call last):
      mmtf.errors.ConfigError: Expected 0 <= dropout < 1. Received: 2.
      >>> require_number("gamma", "1", at_least=0)
      Traceback (most recent call last):
      mmtf.errors.ConfigError: Expected gamma >= 0 and finite, a number. Received: '1'.
    """
    low = above if at_least is None else at_least
    high = below if at_most is None else at_most
    expected = name if high is None else f"{name} {'<' if at_most is None else '<='} {high:g}"
    if low is not None and high is not None:
        expected = f"{low:g} {'<' if at_least is None else '<='} {expected}"
    elif low is not None:
        expected = f"{expected} {'>' if at_least is None else '>='} {low:g} and finite"
    elif high is None:
        expected = f"{name} to be finite"
    require(is_number(value), f"{expected}, a number", value)
    number = float(value)
    within = math.isfinite(number)
    within = within and (low is None or number > low or (number == low and above is None))
    within = within and (high is None or number < high or (number == high and below is None))
    require(within, expected, value)


def is_number(value: Any) -> bool:
    """Whether `value` is one number, of Python, NumPy or TensorFlow, and neither a bool nor text.

    Example:
      >>> [is_number(value) for value in (1, 0.5, True, "1", None, [1.0])]
      [True, True, False, False, False, False]
    """
    kind = getattr(getattr(value, "dtype", None), "kind", "")  # of NumPy
    boolean = isinstance(value, bool) or kind == "b"
    return hasattr(value, "__float__") and getattr(value, "shape", ()) == () and not boolean


def _is_whole(value: Any) -> bool:
    try:
        operator.index(value)
    except TypeError:
        return False
    return is_number(value)


def reason_of(error: BaseException) -> str:
    """The first informative line of an error's text, without its period, at most 300 characters.

    Keras' line "Exception encountered when calling ..." is skipped, and so is what TensorFlow
    puts around a message. An error without a text gives the name of its class.

    Example:
      >>> reason_of(ValueError("Exception encountered when calling Dense.call().\\n\\nToo wide."))
      'Too wide'
      >>> reason_of(KeyError())
      'KeyError'
    """
    lines = [_TENSORFLOW.sub("", line).strip() for line in str(error).splitlines()]
    # Keras prints the place of an error before the error.
    said = [line for line in lines if line and not line.startswith("Exception encountered when")]
    plain = [line.replace("\x1b[1m", "").replace("\x1b[0m", "") for line in said or lines]
    reason = plain[0] if plain and plain[0] else type(error).__name__
    if len(reason) > REASON:
        return reason[:REASON].rpartition(" ")[0] + " ..."
    return reason.rstrip(".")
