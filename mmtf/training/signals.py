"""SIGINT and SIGTERM as a request that the loop answers between two calls."""

import signal
import threading


class StopRequest:
    """While open, the first SIGINT or SIGTERM sets `number`; a second one acts as it always did.

    Outside the main thread, where Python allows no handlers, it does nothing.
    """

    def __init__(self):
        self.number: int | None = None
        self._before = {}

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *unused):
        self._restore()

    def _note(self, number, frame):
        self.number = number
        self._restore()

    def _restore(self):
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
