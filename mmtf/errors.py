"""Errors that end in one line for the user, and the checks that raise them. No TensorFlow here."""

from collections.abc import Iterable
from typing import Any


class ConfigError(ValueError):
    """A setting that cannot be: the message says what was expected, what came, what to do."""


class BackendError(ConfigError, ImportError):
    """Keras runs on another backend than TensorFlow: the message says which, and what to set.

    It is an ImportError of `mmtf`, so that `python -m mmtf.run` ends in one line.
    """

    def __init__(self, message: str):
        super().__init__(message)
        self.msg, self.name = message, "mmtf"


class RunError(RuntimeError):
    """A run that cannot go on: the message says what happened and what to do."""


class Interrupted(Exception):
    """A signal stopped the run after its state was saved.

    Attributes:
      signal: its number.
      step: the last step that was taken.
      saved: whether the state of that step was saved.
    """

    def __init__(self, number: int, step: int, saved: bool):
        super().__init__(f"Stopped by signal {number} at step {step}.")
        self.signal, self.step, self.saved = number, step, saved


def require(condition: bool, expected: str, received: Any) -> None:
    """Raises ConfigError('Expected ... Received ...') unless `condition` holds.

    Example:
      >>> require(2 < 1, "a number below 1", 2)
      Traceback (most recent call last):
      mmtf.errors.ConfigError: Expected a number below 1. Received: 2.
    """
    if not condition:
        raise ConfigError(f"Expected {expected}. Received: {received!r}.")


def require_choice(name: str, value: Any, choices: Iterable[Any]) -> None:
    """Raises ConfigError naming the choices unless `value` is one of them."""
    choices = list(choices)
    require(value in choices, f"{name} to be one of {', '.join(map(str, choices))}", value)


def reason_of(error: BaseException) -> str:
    """The first line of an error that says something, for a message of one line.

    Example:
      >>> reason_of(ValueError("Exception encountered when calling Dense.call().\\n\\nToo wide."))
      'Too wide.'
      >>> reason_of(KeyError())
      'KeyError'
    """
    lines = [line.strip() for line in str(error).splitlines()]
    # Keras puts where it was before what it was.
    said = [line for line in lines if line and not line.startswith("Exception encountered when")]
    plain = [line.replace("\x1b[1m", "").replace("\x1b[0m", "") for line in said or lines]
    return plain[0][:300] if plain and plain[0] else type(error).__name__
