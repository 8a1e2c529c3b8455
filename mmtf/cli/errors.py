"""What a command does with a user's mistake and with a signal. No TensorFlow here."""

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
    """Decorates the main function of the command `name`: errors that a user can mend are one line.

    These are ConfigError, RunError and OSError: one line on stderr and exit status 1. Other errors
    are the package's own and keep their traceback.

    Args:
      name: of the command, before the message.
      stopped: stopped(signal, Interrupted or None) -> exit status, after SIGINT or SIGTERM: says
        what is kept. None: signals end the command as Python has it.

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
    """Names the flag whose value a ConfigError of the library is about.

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
