"""One cell of a payoff matrix: from the cache, or measured batch by batch and kept."""

import dataclasses
import functools
import time
from collections.abc import MutableMapping

import numpy as np

from mmtf.classifiers.classifier import Classifier
from mmtf.data.dataset import Dataset
from mmtf.data.sources import ImageSource
from mmtf.evaluation.fitted import FittedAttack
from mmtf.evaluation.options import EvalOptions
from mmtf.evaluation.results import Result
from mmtf.evaluation.runner import BrokenConstraint, measure
from mmtf.radius import radius_text
from mmtf.storage import cache
from mmtf.storage.batch_cache import BatchCache
from mmtf.storage.digest import sha256
from mmtf.training.loop import RiskNotFinite
from mmtf.training.progress import Progress


class Examples:
    """The test examples, shared by all cells."""

    def __init__(self, dataset: Dataset, count: int):
        self.dataset = dataset
        self.x, self.y = dataset.test_inputs(count)

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


def measured_cell(
    row: Row, name: str, column: FittedAttack, *, examples: Examples, options: EvalOptions
) -> Result:
    """Loads a cell from the cache, or measures and stores it."""
    entry = _entry(row, column, examples, options)
    found = entry.load(_read)
    if found is None:
        kept = entry.path is not None
        batches: MutableMapping = BatchCache(entry.beside("")) if kept else {}
        try:
            found = _measure(row, name, column, batches, examples, options)
        except (BrokenConstraint, RiskNotFinite):
            batches.clear()
            raise
        entry.save(functools.partial(_write, found))
        batches.clear()
    return dataclasses.replace(found, attack=name, defense=row.defense, eta=row.eta)


def _measure(row, name, column, batches, examples, options) -> Result:
    began, resumed = time.monotonic(), len(batches) > 0
    resumed |= options.cache_dir is not None and column.is_kept(row.classifier, examples.dataset)
    attack = column.fit(row.classifier, examples.dataset)
    fitting, bar = time.monotonic() - began, None
    if options.progress:
        parts = [row.defense, None if row.eta is None else f"eta {radius_text(row.eta)}", name]
        label = "  ".join(part for part in parts if part)
        bar = Progress(len(examples.x), label=label, unit="image", last=False)
    try:
        found = measure(
            row.classifier,
            attack,
            examples.x,
            examples.y,
            name=name,
            seed=options.seed,
            keep=options.keep,
            precision=options.precision,
            batch_size=options.batch_size,
            distances=options.distances,
            kept=batches,
            progress=bar,
        )
    finally:
        if bar is not None:
            bar.close()
    seconds = float("nan") if resumed or found.seconds is None else fitting + found.seconds
    return dataclasses.replace(found, seconds=seconds)


def _entry(row, column, examples, options) -> cache.Entry:
    if options.cache_dir is None:
        return cache.Entry(None)
    key = [row.fingerprint, column.identity(), examples.digest, options.seed, options.precision]
    key += [options.batch_size, options.keep, options.distances]
    if column.uses_training_data:
        key.append(examples.dataset.training_digest)
    return cache.entry(options.cache_dir, key, ".npz")


def _read(path) -> Result:
    with np.load(path) as kept:
        arrays = {name: kept[name] for name in kept.files}
    return Result(attack="", **{**arrays, "seconds": float(arrays["seconds"])})


def _write(result, path) -> None:
    arrays = {"wrong": result.wrong, "images": result.images, "seconds": result.seconds}
    for name in ("distance", "targets", "reached"):
        if getattr(result, name) is not None:
            arrays[name] = getattr(result, name)
    np.savez_compressed(path, **arrays)
