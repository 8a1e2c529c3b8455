"""Timed processes whose blocks alternate, so that other load affects all of them alike."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

from mmtf.errors import RunError


class TimedProcess:
    """A Python process that prints a line of JSON when it is ready, and one after each "go".

    Args:
      name: name of the process in error messages.
      arguments: arguments of the Python interpreter.
      python: the interpreter; None: the one that runs this.

    Attributes:
      began: time.perf_counter() before the process was started.
      ready: the first line, decoded.

    Raises:
      RunError: the process ended before it printed an expected line; the message has the end of
        its stderr.

    Example:
      >>> code = "print('{}', flush=True); [print('{\\"a\\": 1}', flush=True) for _ in open(0)]"
      >>> one = TimedProcess("one", ["-c", code])
      >>> one.ready, one.go(), one.close()
      ({}, {'a': 1}, None)
    """

    def __init__(self, name: str, arguments: list[str], python: str | None = None):
        self._name = name
        self.began = time.perf_counter()
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (as long as the process)
        self._process = subprocess.Popen(
            [python or sys.executable, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        self.ready = self._answer()

    def go(self) -> dict[str, Any]:
        """Makes the process run one block; returns the decoded line that it prints."""
        try:
            self._process.stdin.write("go\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # the process has ended; _answer raises its stderr
        return self._answer()

    def close(self) -> None:
        """Ends the process."""
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self._errors.close()

    def _answer(self) -> dict[str, Any]:
        line = self._process.stdout.readline()
        if not line:
            self._errors.seek(0)
            raise RunError(f"{self._name} died: {self._errors.read()[-3000:].strip()}")
        return json.loads(line)


def interleaved(names: list[Any], rounds: int) -> Iterator[Any]:
    """Yields all of `names` in each round, in alternating order, so that none is always first.

    Example:
      >>> list(interleaved(["a", "b"], 2))
      ['a', 'b', 'b', 'a']
    """
    for number in range(rounds):
        yield from names if number % 2 == 0 else names[::-1]
