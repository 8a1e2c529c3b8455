"""Errors that the commands report in one line, and checks that raise them.

This module does not import TensorFlow.
"""

from collections.abc import Iterable
from typing import Any


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
        raise ConfigError(f"Expected {expected}. Received: {received!r}.")


def require_choice(name: str, value: Any, choices: Iterable[Any]) -> None:
    """Raises ConfigError, which lists `choices`, unless `value` is one of them."""
    choices = list(choices)
    require(value in choices, f"{name} to be one of {', '.join(map(str, choices))}", value)


def reason_of(error: BaseException) -> str:
    """The first informative line of an error's text, at most 300 characters.

    Keras' line "Exception encountered when calling ..." is skipped. An error without a text gives
    the name of its class.

    Example:
      >>> reason_of(ValueError("Exception encountered when calling Dense.call().\\n\\nToo wide."))
      'Too wide.'
      >>> reason_of(KeyError())
      'KeyError'
    """
    lines = [line.strip() for line in str(error).splitlines()]
    # Keras prints the place of an error before the error.
    said = [line for line in lines if line and not line.startswith("Exception encountered when")]
    plain = [line.replace("\x1b[1m", "").replace("\x1b[0m", "") for line in said or lines]
    return plain[0][:300] if plain and plain[0] else type(error).__name__
