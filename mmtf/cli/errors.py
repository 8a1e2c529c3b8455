"""What a command does with a user's mistake: one line on stderr and exit status 1."""

import functools
import sys

from mmtf.errors import ConfigError


def in_one_line(name: str):
    """Decorates the main function of the command `name`; other errors keep their traceback.

    Example:
      >>> @in_one_line("tool")
      ... def main(argv):
      ...     raise ConfigError("Expected eta > 0. Received: -1.")
      >>> main(["tool"])
      1
    """

    def decorate(main):
        @functools.wraps(main)
        def guarded(*arguments):
            try:
                return main(*arguments)
            except (ConfigError, OSError) as error:
                print(f"{name}: {error}", file=sys.stderr)
                return 1

        return guarded

    return decorate
