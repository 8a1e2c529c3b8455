"""Progress of an evaluation of several cells: which one, how far, and the time left for all."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, TextIO

from mmtf.attacks.criteria import count_classes
from mmtf.classifiers.classifier import Classifier
from mmtf.data.dataset import Dataset
from mmtf.evaluation.fitted import ComputedAttack, FittedAttack
from mmtf.evaluation.gradient_masking import EXAMPLES, PASSES
from mmtf.evaluation.options import EvalOptions
from mmtf.training.progress import Progress


class Work(NamedTuple):
    """What a cell takes at most, in forward passes of an image; a gradient counts as two more.

    Attributes:
      fitting: before the first image is attacked.
      each: of each test image.
    """

    fitting: float
    each: float


class CellsProgress:
    """Shows the number of each cell, its progress, and the time left for all cells.

    The time left is estimated from the work that remains at most and the rate so far. Examples on
    which an attack succeeds early count as finished, so that the rate includes them.

    Args:
      work: of each cell, in their order.
      images: number of test images, > 0.
      checks: forward passes of the checks for masked gradients of each classifier.
      stream: where to write, by default stderr.
    """

    def __init__(
        self,
        work: Sequence[Work],
        *,
        images: int,
        checks: Sequence[float] = (),
        stream: TextIO | None = None,
    ):
        self._work, self._images, self._stream = work, images, stream or sys.stderr
        self._cell, self._checks = 0, list(checks)
        self._total = sum(map(self._passes, work)) + sum(checks)
        self._done = self._inside = self._seconds = 0.0
        self._began: float | None = None

    @contextlib.contextmanager
    def cell(self, label: str) -> Iterator[Callable[[], Progress]]:
        """Context manager of the next cell.

        Yields:
          A function that makes the Progress of the cell's images, once its attack is fitted.
        """
        work, self._cell = self._work[self._cell], self._cell + 1
        label = f"cell {self._cell}/{len(self._work)}  {label}"
        if work.fitting:
            print(f"{label}: fitting the attack", file=self._stream, flush=True)
        with self._part(self._passes(work)) as part:
            yield lambda: part.bar(label, self._images, work)

    def skip(self) -> None:
        """Leaves out the next cell, which is read from the cache."""
        self._total -= self._passes(self._work[self._cell])
        self._cell += 1

    @contextlib.contextmanager
    def check(self, label: str) -> Iterator[Progress]:
        """Context manager of the next classifier's checks: yields the Progress of their images."""
        passes, count = self._checks.pop(0), min(self._images, EXAMPLES)
        with self._part(passes) as part:
            yield part.bar(f"checks  {label}", count, Work(0.0, passes / count))

    def seconds_left(self) -> float | None:
        """Estimated seconds until everything is measured; None before anything is known."""
        seconds = self._seconds
        if self._began is not None:
            seconds += time.monotonic() - self._began
        done = self._done + self._inside
        return (self._total - done) * seconds / done if done > 0 else None

    def now_inside(self, passes: float) -> None:
        """Notes the forward passes of the current part so far."""
        self._inside = passes

    def _passes(self, work):
        return work.fitting + work.each * self._images

    @contextlib.contextmanager
    def _part(self, passes):
        self._began = time.monotonic()
        part = _Part(self, self._stream)
        try:
            yield part
        finally:
            part.close()
            self._seconds += time.monotonic() - self._began
            self._done, self._inside, self._began = self._done + passes, 0.0, None


class _Part:
    """Makes and closes the Progress of a part."""

    def __init__(self, whole, stream):
        self._whole, self._stream, self._bar = whole, stream, None

    def bar(self, label, images, work):
        self._bar = _PartProgress(
            images,
            label=label,
            unit="image",
            last=False,
            left=self._whole.seconds_left,
            stream=self._stream,
        )
        self._bar.tell = lambda step: self._whole.now_inside(work.fitting + work.each * step)
        self._bar.tell(0)
        return self._bar

    def close(self):
        if self._bar is not None:
            self._bar.close()


class _PartProgress(Progress):
    tell: Callable[[float], None]

    def update(self, step: float, metrics: Mapping[str, float | str]) -> None:
        self.tell(step)
        super().update(step, metrics)


def cells_progress(
    classifiers: Sequence[Classifier],
    columns: Sequence[FittedAttack],
    dataset: Dataset,
    options: EvalOptions,
) -> CellsProgress | None:
    """The progress of an evaluation; None if `options.progress` is False.

    Args:
      classifiers: the rows.
      columns: the attacks on each classifier, at every radius.
      dataset: its test split is measured; attacks are fitted on its training split.
      options: of the evaluation.
    """
    if not options.progress:
        return None
    x, _ = dataset.test(1)
    count = len(dataset.test_images)
    images = min(options.max_examples or count, count)
    work = [_work(column, one, dataset, x) for one in classifiers for column in columns]
    each = PASSES * options.eot_samples * min(images, EXAMPLES)
    checks = [each] * len(classifiers) if options.checks else []
    return CellsProgress(work, images=images, checks=checks)


def _work(column, classifier, dataset, x) -> Work:
    if isinstance(column, ComputedAttack):
        return Work(0.0, column.attack.passes(count_classes(classifier, x)))
    fitted = not column.fitting_passes or column.is_kept(classifier, dataset)
    return Work(0.0 if fitted else column.fitting_passes, 1.0)
