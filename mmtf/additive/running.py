"""Measures pairs of classes at several radii; classifiers and finished cells are kept."""

import dataclasses
import functools
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from mmtf.additive.cell import Settings, measure
from mmtf.additive.pairs import Pair, pair_of, restricted, train_classifier
from mmtf.classifiers.classifier import Classifier
from mmtf.classifiers.export import save_keras
from mmtf.classifiers.loading import load_keras
from mmtf.data.dataset import Dataset
from mmtf.errors import ConfigError
from mmtf.storage.cache import entry
from mmtf.storage.files import UNREADABLE, read_json, write_json

Radii = tuple[float, float]
# Of the cells that are kept: those of another version are measured again.
VERSION = 2


class Measured(NamedTuple):
    """One pair at one pair of radii.

    Attributes:
      cell: as of `measure`.
      classifier: of the pair.
      vectors: draws of SMOOTH, float32 [k, H, W, C].
    """

    cell: dict[str, Any]
    classifier: Classifier
    vectors: np.ndarray


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """Where the classifiers come from.

    Attributes:
      model: a classifier of the pair or of all classes; None: one is trained for each pair.
      net: of the trained ones, see `train_classifier`.
      epochs: of their training.
    """

    model: Classifier | None = None
    net: str = "mlp"
    epochs: int = 8


def measure_pairs(
    data: Dataset,
    pairs: Sequence[tuple[int, int]],
    radii: Sequence[Radii],
    settings: Settings,
    source: Source,
    *,
    folder: str | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> list[Measured]:
    """Measures every pair at all radii.

    Args:
      data: the images.
      pairs: classes.
      radii: (eta_attack, eta_defense).
      settings: of all cells.
      source: of the classifiers.
      folder: folder of finished cells and classifiers, from which a stopped command resumes; None:
        none.
      say: called with a line of progress for every cell.
    """
    found, began, number = [], time.monotonic(), 0
    for classes in pairs:
        pair = pair_of(data, classes)
        classifier = _classifier(pair, source, settings.seed, folder)
        for etas in radii:
            number += 1
            found.append(_kept(pair, classifier, etas, settings, folder))
            cell, left = found[-1].cell, len(pairs) * len(radii) - number
            seconds = (time.monotonic() - began) / number * left
            low = cell["objective"]
            say(
                f"[{number}/{number + left}] {pair.name}, eta {etas[0]:g} / {etas[1]:g}: phi "
                f"{low['at_zero']:.3f} at 0, {low['refined']:.3f} at v*; {seconds:.0f} s left"
            )
    return found


def _kept(pair, classifier, etas, settings, folder) -> Measured:
    values = [pair.fingerprint, classifier.fingerprint, etas, dataclasses.asdict(settings)]
    values.append(VERSION)
    name = f"{pair.name}-eta{etas[0]:g}-{etas[1]:g}-"
    arrays = entry(folder, values, ".npz", prefix=name)
    record = entry(folder, values, ".json", prefix=name)
    cell, vectors = record.load(read_json), arrays.load(_vectors)
    if cell is None or vectors is None:
        cell, vector, vectors = measure(classifier, pair, etas[0], etas[1], settings)
        arrays.save(functools.partial(np.savez, vector=vector, vectors=vectors))
        record.save(functools.partial(write_json, value=cell))
    return Measured(cell, classifier, vectors)


def _vectors(path):
    with np.load(path) as found:
        return found["vectors"]


def _classifier(pair: Pair, source: Source, seed: int, folder: str | None) -> Classifier:
    if source.model is not None:
        return restricted(source.model, pair)
    values = [pair.fingerprint, source.net, source.epochs, seed]
    kept = entry(folder, values, ".keras", prefix=f"{source.net}-{pair.name}-")
    model = kept.load(load_keras, (*UNREADABLE, ConfigError))
    if model is not None:
        return Classifier(model, name=f"{source.net} {pair.name}")
    trained = train_classifier(pair, source.net, epochs=source.epochs, seed=seed)
    kept.save(functools.partial(save_keras, trained))
    return trained
