"""Progress of a long run: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from typing import TextIO

import tqdm

LINE_SECONDS = 10.0


class Progress:
    """Shows the number of steps taken, steps per second, the metrics and the time left.

    Args:
      total: number of steps of the whole run.
      start: number of steps taken before this process.
      label: shown before the number of steps.
      unit: name of a step, in the singular.
      last: whether a line is always printed after the last step.
      stream: where to write, by default stderr: a bar on a terminal, else a line every 10 s.
    """

    def __init__(
        self,
        total: int,
        *,
        start: int = 0,
        label: str = "train",
        unit: str = "step",
        last: bool = True,
        stream: TextIO | None = None,
    ):
        self._stream = stream or sys.stderr
        self._total, self._start, self._label = total, start, label
        self._unit, self._last = unit, last
        self._step = start
        self._began = self._printed = time.monotonic()
        self._bar = None
        if self._stream.isatty():
            self._bar = tqdm.tqdm(
                total=total, initial=start, desc=label, unit=unit, file=self._stream
            )

    def update(self, step: int, metrics: dict[str, float]) -> None:
        """Shows that `step` steps have been taken, and the metrics of the latest ones."""
        if self._bar is not None:
            shown = {name: _shown(value) for name, value in metrics.items()}
            self._bar.set_postfix(shown, refresh=False)
            self._bar.update(step - self._step)
        self._step = step
        now = time.monotonic()
        done = step >= self._total and self._last
        if self._bar is None and (now - self._printed >= LINE_SECONDS or done):
            self._printed = now
            self._line(step, metrics, now)

    def _line(self, step, metrics, now):
        rate = (step - self._start) / max(now - self._began, 1e-9)
        left = (self._total - step) / rate if rate else float("inf")
        parts = [f"{self._label} {step}/{self._total}", f"{rate:.1f} {self._unit}s/s"]
        parts += [f"{name} {_shown(value)}" for name, value in metrics.items()]
        parts.append(f"{left:.0f} s left")
        # The rate is unknown before the first step.
        self.note("  ".join(parts if rate else [parts[0], *parts[2:-1]]))

    def note(self, text: str) -> None:
        """Prints a line of text without breaking the bar."""
        if self._bar is not None:
            self._bar.write(text, file=self._stream)
        else:
            print(text, file=self._stream, flush=True)

    def close(self) -> None:
        """Closes the bar and leaves it visible."""
        if self._bar is not None:
            self._bar.close()


def _shown(value):
    return str(value) if isinstance(value, int) else f"{value:.4f}"
