"""The error of a setting that cannot be, and the checks that raise it. No TensorFlow here."""

from typing import Any


class ConfigError(ValueError):
    """A setting that cannot be: the message says what was expected, what came, what to do."""


def require(condition: bool, expected: str, received: Any) -> None:
    """Raises ConfigError('Expected ... Received ...') unless `condition` holds."""
    if not condition:
        raise ConfigError(f"Expected {expected}. Received: {received!r}.")


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


def require_choice(name: str, value: Any, choices) -> None:
    """Raises ConfigError naming the choices unless `value` is one of them."""
    choices = list(choices)
    require(value in choices, f"{name} to be one of {', '.join(map(str, choices))}", value)
