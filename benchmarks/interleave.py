"""Timed processes whose blocks alternate, so that other load on the machine meets all of them."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any


class TimedProcess:
    """A `python -m ...` that prints a line of JSON when it is ready, and one after each "go".

    Args:
      name: in error messages.
      arguments: of Python.

    Attributes:
      began: time.perf_counter() before it was started.
      ready: its first line.

    Raises:
      RuntimeError: it ends before a line that is due; with the end of its stderr.

    Example:
      >>> code = "print('{}', flush=True); [print('{\\"a\\": 1}', flush=True) for _ in open(0)]"
      >>> one = TimedProcess("one", ["-c", code])
      >>> one.ready, one.go(), one.close()
      ({}, {'a': 1}, None)
    """

    def __init__(self, name: str, arguments: list[str]):
        self._name = name
        self.began = time.perf_counter()
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (as long as the process)
        self._process = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        self.ready = self._answer()

    def go(self) -> dict[str, Any]:
        """Has it run one block; what it prints of that."""
        try:
            self._process.stdin.write("go\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended: _answer tells why
        return self._answer()

    def close(self) -> None:
        """Ends it: no further block comes."""
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self._errors.close()

    def _answer(self) -> dict[str, Any]:
        line = self._process.stdout.readline()
        if not line:
            self._errors.seek(0)
            raise RuntimeError(f"{self._name} died: {self._errors.read()[-3000:]}")
        return json.loads(line)


def interleaved(names: list[Any], rounds: int) -> Iterator[Any]:
    """All of `names` in each round, forwards and backwards in turn, so that none is always first.

    Example:
      >>> list(interleaved(["a", "b"], 2))
      ['a', 'b', 'b', 'a']
    """
    for number in range(rounds):
        yield from names if number % 2 == 0 else names[::-1]
