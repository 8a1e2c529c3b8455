"""SIGINT and SIGTERM as a request to stop, which the loop handles between two calls."""

import signal
import threading


class StopRequest:
    """Context manager: inside it, the first SIGINT or SIGTERM is recorded and has no other effect.

    A second signal acts as it would outside. In threads other than the main one, where Python
    allows no signal handlers, the context manager does nothing.

    Attributes:
      number: number of the signal received; None: no signal.
    """

    def __init__(self):
        self.number: int | None = None
        self._before = {}

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *unused: object) -> None:
        self._restore()

    def _note(self, number, frame):
        self.number = number
        self._restore()

    def _restore(self):
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
