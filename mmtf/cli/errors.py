"""Error and signal handling of the commands. Imports no TensorFlow."""

import contextlib
import functools
import os
import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from absl import flags

from mmtf.errors import ConfigError, Interrupted, RunError, require

Main = Callable[..., int]
Stopped = Callable[[int, Interrupted | None], int]


def in_one_line(
    name: str, *, stopped: Stopped | None = None, takes_arguments: bool = False
) -> Callable[[Main], Main]:
    """Decorator for main functions: prints errors that a user can fix as one line on stderr.

    ConfigError, RunError and OSError end the command with their message and exit status 1. All
    other errors are defects of the package and keep their traceback. Flags without a value and
    arguments that are not flags are refused before `main` is called.

    Args:
      name: name of the command, printed before the message.
      takes_arguments: whether the command takes arguments that are not flags.
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
                if not takes_arguments:
                    _refuse_words(*arguments)
                if flags.FLAGS.is_parsed():
                    refuse_empty(flags.FLAGS)
                    _expand_home(flags.FLAGS)
                return main(*arguments)
            except (ConfigError, RunError, OSError) as error:
                print(f"{name}: {' '.join(str(error).split())}", file=sys.stderr)
                return 1
            except (KeyboardInterrupt, Interrupted) as error:
                if stopped is None:
                    raise
                if isinstance(error, Interrupted):
                    return stopped(error.signal, error)
                return stopped(error.args[0] if error.args else signal.SIGINT, None)

        return guarded

    return decorate


def _expand_home(values: flags.FlagValues) -> None:
    """Replaces a leading ~ of --output, which shells leave in --output=~/report."""
    if "output" in values and values.output:
        values["output"].value = os.path.expanduser(values.output)


def says_kept(kept: str, output: Callable[[], str | None] | None = None) -> Stopped:
    """Returns a function for `in_one_line` that tells the user from what a command goes on.

    Args:
      kept: what is kept, in the plural.
      output: returns the value of --output; only for a command that keeps nothing without it.
    """

    def stopped(number: int, interrupted: Interrupted | None) -> int:
        if output is not None and not output():
            print("Stopped. Nothing is kept without --output.")
        else:
            print(f"Stopped. {kept} are kept; the same command goes on from them.")
        return 128 + number

    return stopped


def refuse_empty(values: flags.FlagValues) -> None:
    """Raises ConfigError for a flag that was given without a value, as by an unset shell variable.

    Args:
      values: `flags.FLAGS`; flags of absl itself are not checked.

    Example:
      >>> values = flags.FlagValues()
      >>> _ = flags.DEFINE_string("dataset", "mnist", "Data.", flag_values=values)
      >>> _ = values(["program", "--dataset="])
      >>> try:
      ...     refuse_empty(values)
      ... except ConfigError as error:
      ...     print(str(error).partition(" Is ")[0])
      Expected a value for --dataset. Received: none (--dataset=).
    """
    for module, defined in values.flags_by_module_dict().items():
        for flag in defined if not module.startswith("absl.") else ():
            parts = flag.value if isinstance(flag.value, list) else [flag.value]
            blank = any(isinstance(part, str) and not part.strip() for part in parts)
            if flag.present and (blank or not parts):
                given = ",".join(part or "" for part in parts)
                raise ConfigError(
                    f"Expected a value for --{flag.name}. Received: none (--{flag.name}={given}). "
                    "Is a shell variable unset? Without the flag its default holds."
                )


def _refuse_words(*arguments: Any) -> None:
    words = arguments[0][1:] if arguments and isinstance(arguments[0], list) else []
    require(not words, "flags only", " ".join(words))


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
