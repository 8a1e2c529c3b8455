"""Processes that each wait for their turn, so that what else a machine does meets all of them."""

import json
import subprocess
import sys
import tempfile
import time


class Waiting:
    """A `python -m ...` that answers a line of JSON when ready, and one to each "go".

    Args:
      name: of it, in an error.
      arguments: of Python.

    Attributes:
      began: time.perf_counter() before it was started.
      ready: its first answer.

    Raises:
      RuntimeError: it ends where it should answer; with the end of its stderr.

    Example:
      >>> code = "print('{}', flush=True); [print('{\\"a\\": 1}', flush=True) for _ in open(0)]"
      >>> one = Waiting("one", ["-c", code])
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

    def go(self) -> dict:
        """Its answer to one turn."""
        try:
            self._process.stdin.write("go\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended: _answer tells why
        return self._answer()

    def close(self) -> None:
        """No turn comes any more."""
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self._errors.close()

    def _answer(self):
        line = self._process.stdout.readline()
        if not line:
            self._errors.seek(0)
            raise RuntimeError(f"{self._name} died: {self._errors.read()[-3000:]}")
        return json.loads(line)


def in_turns(names: list, turns: int):
    """Whose turn it is: all of `names`, forwards and backwards, so that nobody always comes first.

    Example:
      >>> list(in_turns(["a", "b"], 2))
      ['a', 'b', 'b', 'a']
    """
    for number in range(turns):
        yield from names if number % 2 == 0 else names[::-1]
