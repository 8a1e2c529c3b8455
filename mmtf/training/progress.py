"""Progress of a long run: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Mapping
from typing import Protocol, TextIO

import tqdm

LINE_SECONDS = 10.0
BAR = "{l_bar}{bar}| {n:.0f}/{total_fmt} [{elapsed}<{remaining}, {rate_fmt}{postfix}]"
BAR_OF_PART = "{l_bar}{bar}| {n:.0f}/{total_fmt} [{elapsed}, {rate_fmt}{postfix}]"


class Display(Protocol):
    """Anything that is told of progress."""

    def update(self, step: float, metrics: Mapping[str, float | str]) -> None:
        """See `Progress.update`."""


class Progress:
    """Shows the number of steps taken, steps per second, the metrics and the time left.

    Steps may be fractional: what is shown are the whole ones.

    Args:
      total: number of steps of the whole run.
      start: number of steps taken before this process.
      label: shown before the number of steps.
      unit: name of a step, in the singular.
      last: whether a line is always printed after the last step.
      left: for a part of something larger: returns the seconds left for all of it, or None as long
        as they are unknown; shown in place of the part's own.
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
        left: Callable[[], float | None] | None = None,
        stream: TextIO | None = None,
    ):
        self._stream = stream or sys.stderr
        self._total, self._start, self._label = total, start, label
        self._unit, self._last, self._left = unit, last, left
        self._step: float = start
        self._began = self._printed = time.monotonic()
        self._bar = None
        if self._stream.isatty():
            self._bar = tqdm.tqdm(
                total=total,
                initial=start,
                desc=label,
                unit=unit,
                file=self._stream,
                bar_format=BAR if left is None else BAR_OF_PART,
            )

    def update(self, step: float, metrics: Mapping[str, float | str]) -> None:
        """Shows that `step` steps have been taken, and the metrics of the latest ones."""
        if self._bar is not None:
            shown = {name: _shown(value) for name, value in metrics.items()}
            if self._left is not None and (left := self._left()) is not None:
                shown["left_in_all"] = f"{left:.0f} s"
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
        parts = [f"{self._label} {int(step)}/{self._total}"]
        if rate:  # else it is unknown: no step has been taken
            parts.append(f"{rate:.1f} {self._unit}s/s")
        parts += [f"{name} {_shown(value)}" for name, value in metrics.items()]
        if self._left is not None:
            left = self._left()
            parts += [] if left is None else [f"about {left:.0f} s left in all"]
        elif rate:
            parts.append(f"{(self._total - step) / rate:.0f} s left")
        self.note("  ".join(parts))

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


class Stage:
    """One of several measurements on the same images, as a part of their common Progress.

    Args:
      progress: of all of them; None: nothing is shown.
      begun: images' worth of work of the earlier measurements.
      share: share of the whole work that this measurement makes up, in (0, 1].
    """

    def __init__(self, progress: Display | None, begun: float, share: float):
        self._progress, self._begun, self._share = progress, begun, share

    def update(self, step: float, metrics: Mapping[str, float | str]) -> None:
        """See `Progress.update`."""
        if self._progress is not None:
            self._progress.update(self._begun + self._share * step, metrics)


def _shown(value):
    return str(value) if isinstance(value, int | str) else f"{value:.4f}"
