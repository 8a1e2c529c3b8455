"""Error and signal handling of the commands. Imports no TensorFlow."""

import contextlib
import functools
import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from mmtf.errors import ConfigError, Interrupted, RunError

Main = Callable[..., int]
Stopped = Callable[[int, Interrupted | None], int]


def in_one_line(name: str, *, stopped: Stopped | None = None) -> Callable[[Main], Main]:
    """Decorator for main functions: prints errors that a user can fix as one line on stderr.

    ConfigError, RunError and OSError end the command with their message and exit status 1. All
    other errors are defects of the package and keep their traceback.

    Args:
      name: name of the command, printed before the message.
      stopped: stopped(signal, Interrupted or None) -> exit status, called after SIGINT or SIGTERM
        to tell the user what was saved. None: Python's own signal handling.

    Returns:
      A decorator of functions that return an exit status.

    Example:
      >>> @in_one_line("tool")
      ... def main(argv):
      ...     raise ConfigError("Expected eta > 0. Received: -1.")
      >>> main(["tool"])
      1
    """

    def decorate(main: Main) -> Main:
        @functools.wraps(main)
        def guarded(*arguments: Any) -> int:
            if stopped is not None:
                signal.signal(signal.SIGTERM, _interrupt)
            try:
                return main(*arguments)
            except (ConfigError, RunError, OSError) as error:
                print(f"{name}: {error}", file=sys.stderr)
                return 1
            except (KeyboardInterrupt, Interrupted) as error:
                if stopped is None:
                    raise
                if isinstance(error, Interrupted):
                    return stopped(error.signal, error)
                return stopped(error.args[0] if error.args else signal.SIGINT, None)

        return guarded

    return decorate


@contextlib.contextmanager
def about(flag: str) -> Iterator[None]:
    """Context manager that puts a flag's name before the message of a ConfigError raised inside.

    Args:
      flag: the flag whose value the library was given, such as `--workdir`.

    Example:
      >>> with about("--workdir"):
      ...     raise ConfigError("Expected a folder that can be written. Received: /proc/x.")
      Traceback (most recent call last):
      mmtf.errors.ConfigError: --workdir: Expected a folder that can be written. Received: /proc/x.
    """
    try:
        yield
    except ConfigError as error:
        raise type(error)(f"{flag}: {error}") from error


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt(number)
