"""Certifies a classifier's vote on test images and attacks it at the same radii."""

import dataclasses
import functools
import json
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from mmtf.classifiers.classifier import Classifier
from mmtf.errors import require
from mmtf.evaluation.cells import Examples
from mmtf.evaluation.verdict import misclassified
from mmtf.smoothing.attacking import JUDGES, Attacked, attack
from mmtf.smoothing.certificates import ABSTAIN, Certified, certified_of, voted
from mmtf.smoothing.noisy_votes import ESTIMATION, SELECTION, counts
from mmtf.smoothing.settings import Settings
from mmtf.storage import cache
from mmtf.storage.files import write_text
from mmtf.training.progress import Progress

# Seconds between two writings of the finished images.
SAVE_SECONDS = 5.0


@dataclasses.dataclass(frozen=True, eq=False)
class Measured:
    """What was measured of one classifier on N test images.

    Attributes:
      name: the classifier's.
      settings: how it was measured.
      labels: int [N].
      selection, estimation: int [N, C], counts of n0 and of n draws.
      certified: see `Certified`.
      predicted: int [N], the vote of the n draws, ABSTAIN where it is not certain.
      clean: the errors at radius 0.
      attacked: for each radius; empty without an attack.
      seconds: float [N], time of each image's n0 + n draws.
    """

    name: str
    settings: Settings
    labels: np.ndarray
    selection: np.ndarray
    estimation: np.ndarray
    certified: Certified
    predicted: np.ndarray
    clean: Attacked
    attacked: Sequence[Attacked]
    seconds: np.ndarray

    @property
    def contradictions(self) -> int:
        """Images certified at a radius at which they are broken: certificates that do not hold."""
        return sum(
            int((self.certified.correct(self.labels, one.radius) & one.broken).sum())
            for one in self.attacked
        )

    @property
    def average_radius(self) -> float:
        """Mean over the images of the certified radius, 0 where the class is wrong or abstained."""
        correct = self.certified.correct(self.labels)
        return float(np.where(correct, self.certified.radius, 0.0).mean())


def measure_smoothed(
    classifier: Classifier,
    examples: Examples,
    settings: Settings,
    *,
    cache_dir: str | None = None,
    progress: bool = False,
) -> Measured:
    """Certifies and attacks the smoothed classifier on the examples.

    Args:
      classifier: the base classifier.
      examples: test images and labels.
      settings: see `Settings`.
      cache_dir: folder of finished images and attacks, from which the same call resumes; None: they
        are not kept.
      progress: whether progress is shown on stderr.
    """
    keep = functools.partial(_entry, classifier, examples, settings, cache_dir)
    x, y = examples.x, np.asarray(examples.y)
    rows = _voted_rows(classifier, x, settings, keep(".jsonl", "votes-"), progress)
    selection = np.array([row["selection"] for row in rows])
    estimation = np.array([row["estimation"] for row in rows])
    predicted = voted(estimation, settings.alpha)
    base_wrong = misclassified(classifier, x, y)
    attacked: list[Attacked] = []
    abstains = predicted == ABSTAIN
    clean = last = Attacked(0.0, (predicted != y) & ~abstains, abstains, base_wrong, 0.0)
    for radius in settings.radii if settings.attack_steps else ():
        bar = _bar(progress, len(y), f"{classifier.name}  PGD l2 {radius:g}")
        kept = keep(".npz", "attack-", radius=radius)
        last = attack(classifier, x, y, last, radius, settings, kept=kept, progress=bar)
        attacked.append(last)
        if bar is not None:
            bar.close()
    certified = certified_of(selection, estimation, settings.sigma, settings.alpha)
    seconds = np.array([row["seconds"] for row in rows])
    return Measured(
        classifier.name,
        settings,
        y,
        selection,
        estimation,
        certified,
        predicted,
        clean,
        attacked,
        seconds,
    )


def _entry(classifier, examples, settings, cache_dir, suffix, prefix, radius=None):
    if cache_dir is None:
        return cache.Entry(None)
    key: list[Any] = [classifier.fingerprint, examples.digest, settings.sigma, settings.seed]
    key += [settings.n, settings.n0]
    if radius is not None:  # the attack goes on from smaller radii
        smaller = [one for one in settings.radii if one <= radius]
        key += [settings.alpha, smaller, settings.attack_steps, settings.attack_draws, JUDGES]
    return cache.entry(cache_dir, key, suffix, prefix)


def _bar(progress: bool, total: int, label: str) -> Progress | None:
    return Progress(total, label=label, unit="image", last=False) if progress else None


def _voted_rows(classifier, x, settings, kept, progress) -> list[dict[str, Any]]:
    """A dict per image: index, counts and seconds; finished ones are read back."""
    rows = kept.load(_read_rows) or []
    bar = _bar(progress, len(x), f"{classifier.name}  certified")
    count = functools.partial(counts, classifier, sigma=settings.sigma, seed=settings.seed)
    saved = time.monotonic()
    try:
        for index in range(len(rows), len(x)):
            began = time.monotonic()
            image = {"x": x[index : index + 1], "indices": [index]}
            selection = count(**image, n=settings.n0, stream=SELECTION)[0]
            estimation = count(**image, n=settings.n, stream=ESTIMATION)[0]
            now = time.monotonic()
            rows.append(
                {
                    "index": index,
                    "selection": selection.tolist(),
                    "estimation": estimation.tolist(),
                    "seconds": round(now - began, 4),
                }
            )
            if bar is not None:
                bar.update(len(rows), {})
            if now - saved > SAVE_SECONDS:
                saved = now
                kept.save(functools.partial(_write_rows, rows))
    finally:
        if rows:
            kept.save(functools.partial(_write_rows, rows))
        if bar is not None:
            bar.close()
    return rows


def _read_rows(path) -> list[dict[str, Any]]:
    with open(path, encoding="utf-8") as source:
        rows = [json.loads(line) for line in source]
    whole = [row["index"] for row in rows] == list(range(len(rows)))
    require(whole, f"images in order in {path}", len(rows))
    return rows


def _write_rows(rows, path) -> None:
    write_text(path, "".join(f"{json.dumps(row)}\n" for row in rows))
