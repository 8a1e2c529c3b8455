"""Lines for the person at the terminal. Imports no TensorFlow."""

import sys


def say(line: str) -> None:
    """Prints a line on stderr at once; stdout is for results alone."""
    print(line, file=sys.stderr, flush=True)
