"""One cell of a payoff matrix: from the cache, or measured batch by batch and kept."""

import contextlib
import dataclasses
import functools
import time
from collections.abc import Callable, MutableMapping

import numpy as np

from mmtf.classifiers.classifier import Classifier
from mmtf.data.dataset import Dataset
from mmtf.data.sources import ImageSource
from mmtf.evaluation.fitted import FittedAttack, is_targeted
from mmtf.evaluation.options import EvalOptions
from mmtf.evaluation.progress import CellsProgress
from mmtf.evaluation.proved import Proved, with_proved
from mmtf.evaluation.results import Result
from mmtf.evaluation.runner import BrokenConstraint, measure
from mmtf.radius import radius_text
from mmtf.runtime.peak_memory import peak_memory_mib
from mmtf.storage import cache
from mmtf.storage.batch_cache import BatchCache
from mmtf.storage.digest import sha256
from mmtf.training.loop import RiskNotFinite

# Numbers of a Result that a cached cell keeps.
NUMBERS = ("seconds", "peak_memory_mib")


class Examples:
    """The test examples, shared by all cells."""

    def __init__(self, dataset: Dataset, count: int):
        self.dataset = dataset
        self.x, self.y = dataset.test_inputs(count)

    @functools.cached_property
    def proved(self) -> Proved | None:
        """What cheap verifiers prove; None of images that do not fit in memory."""
        return None if isinstance(self.x, ImageSource) else Proved(self.x, self.y)

    @functools.cached_property
    def digest(self) -> str:
        images = self.x.digest if isinstance(self.x, ImageSource) else self.x
        return sha256(images, self.y)


@dataclasses.dataclass(frozen=True)
class Row:
    """A classifier at one radius; name or radius is None in a table that has only one."""

    defense: str | None
    eta: float | str | None
    classifier: Classifier

    @functools.cached_property
    def fingerprint(self) -> str:
        return self.classifier.fingerprint


def cell_measurer(
    examples: Examples, options: EvalOptions, progress: CellsProgress | None = None
) -> Callable[[Row, str, FittedAttack], Result]:
    """`measured_cell` with everything that the cells of one evaluation share."""
    return functools.partial(measured_cell, examples=examples, options=options, progress=progress)


def measured_cell(
    row: Row,
    name: str,
    column: FittedAttack,
    *,
    examples: Examples,
    options: EvalOptions,
    progress: CellsProgress | None = None,
) -> Result:
    """Loads a cell from the cache, or measures and stores it; `progress` is told either way."""
    entry = _entry(row, column, examples, options)
    found = entry.load(_read)
    if found is None:
        kept = entry.path is not None
        batches: MutableMapping = BatchCache(entry.beside("")) if kept else {}
        try:
            with _shown(progress, row, name) as show:
                found = _measure(row, name, column, batches, examples, options, show)
        except (BrokenConstraint, RiskNotFinite):
            batches.clear()
            raise
        entry.save(functools.partial(_write, found))
        batches.clear()
    elif progress is not None:
        progress.skip()
    return dataclasses.replace(found, attack=name, defense=row.defense, eta=row.eta)


def _shown(progress, row, name):
    """Context manager that yields a function without arguments: the cell's Progress, or None."""
    if progress is None:
        return contextlib.nullcontext(lambda: None)
    parts = [row.defense, None if row.eta is None else f"eta {radius_text(row.eta)}", name]
    return progress.cell("  ".join(part for part in parts if part))


def _measure(row, name, column, batches, examples, options, show) -> Result:
    began, resumed = time.monotonic(), len(batches) > 0
    resumed |= options.cache_dir is not None and column.is_kept(row.classifier, examples.dataset)
    attack = column.fit(row.classifier, examples.dataset)
    fitting = time.monotonic() - began
    x, y, rows = examples.x, examples.y, None
    if options.skip_certified and examples.proved and not is_targeted(attack):
        rows = np.flatnonzero(~examples.proved.certified(row.classifier, attack.threat))
        if not len(rows):
            return with_proved(None, rows, x, options.keep, options.distances)
        x, y = x[rows], y[rows]
    found = measure(
        row.classifier,
        attack,
        x,
        y,
        name=name,
        seed=options.seed,
        keep=options.keep,
        precision=options.precision,
        batch_size=options.batch_size,
        distances=options.distances,
        # Without a cache no batch is kept, so that memory does not grow with their number.
        kept=None if options.cache_dir is None else batches,
        progress=show(),
    )
    if rows is not None:
        found = with_proved(found, rows, examples.x, options.keep)
    seconds = float("nan") if resumed or found.seconds is None else fitting + found.seconds
    return dataclasses.replace(found, seconds=seconds, peak_memory_mib=peak_memory_mib())


def _entry(row, column, examples, options) -> cache.Entry:
    if options.cache_dir is None:
        return cache.Entry(None)
    key = [row.fingerprint, column.identity(), examples.digest, options.seed, options.precision]
    key += [options.batch_size, options.keep, options.distances]
    if options.skip_certified:
        key.append("skip_certified")
    if column.uses_training_data:
        key.append(examples.dataset.training_digest)
    return cache.entry(options.cache_dir, key, ".npz")


def _read(path) -> Result:
    with np.load(path) as kept:
        arrays = {name: kept[name] for name in kept.files}
    numbers = {name: float(arrays[name]) for name in NUMBERS if name in arrays}
    return Result(attack="", **{**arrays, "wrong": arrays["wrong"], **numbers})


def _write(result, path) -> None:
    arrays = {"wrong": result.wrong, "images": result.images}
    for name in (*NUMBERS, "distance", "targets", "reached", "accepted"):
        if getattr(result, name) is not None:
            arrays[name] = getattr(result, name)
    np.savez_compressed(path, **arrays)
