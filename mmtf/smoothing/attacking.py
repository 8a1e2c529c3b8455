"""PGD in l2 on a smoothed classifier, through expectation, and on the classifier without noise."""

import dataclasses
import functools
import time
from typing import Any

import numpy as np

from mmtf.attacks.iterated import PGD
from mmtf.classifiers.classifier import Classifier
from mmtf.classifiers.smoothed import Smoothed
from mmtf.data.sources import ImageSource
from mmtf.evaluation.batching import default_batch_size
from mmtf.evaluation.runner import perturb
from mmtf.evaluation.verdict import misclassified
from mmtf.smoothing.certificates import ABSTAIN, voted
from mmtf.smoothing.noisy_votes import JUDGMENT, counts
from mmtf.smoothing.settings import Settings
from mmtf.storage.batch_cache import BatchCache
from mmtf.storage.cache import Entry
from mmtf.threat import ThreatModel
from mmtf.training.progress import Progress

# Draws by which an adversarial example is judged.
JUDGES = 200
# Largest number of noisy images in a step of the attack.
LARGEST_FORWARD = 1000


@dataclasses.dataclass(frozen=True, eq=False)
class Attacked:
    """Accuracies under PGD in l2 at one radius.

    Attributes:
      radius: for pixels in [-1, 1].
      broken: bool [N], images of which an image within this radius was found that the smoothed
        classifier takes for another class than the label, in a vote that does not abstain.
      abstains: bool [N], images that are not broken and on whose adversarial example the vote
        abstains.
      base_wrong: bool [N], images that the classifier without noise misclassifies clean or under
        an attack on it within this radius.
      seconds: duration of both attacks; NaN if part of it was done by an earlier call.
    """

    radius: float
    broken: np.ndarray
    abstains: np.ndarray
    base_wrong: np.ndarray
    seconds: float


def attack(
    classifier: Classifier,
    x: np.ndarray | ImageSource,
    y: np.ndarray,
    before: Attacked,
    radius: float,
    settings: Settings,
    *,
    kept: Entry,
    progress: Progress | None = None,
) -> Attacked:
    """Attacks the images that are not broken at a smaller radius.

    The attack sees the mean over `settings.attack_draws` fixed draws. Its images are judged by the
    vote of JUDGES fresh draws: an attack may fool its own draws alone.

    Args:
      classifier: the base classifier.
      x: images, float32 [N, H, W, C] in the box.
      y: int [N], labels.
      before: the result at the next smaller radius, which the larger ball contains; at radius 0
        the votes on the clean images.
      radius: l2 radius for pixels in [-1, 1].
      settings: see `Settings`.
      kept: where the result is stored; beside it, finished batches.
      progress: updated with the number of images attacked.
    """
    found = kept.load(_read)
    if found is not None:
        return found
    batches: Any = {} if kept.path is None else BatchCache(kept.beside(""))
    began, resumed = time.monotonic(), len(batches) > 0
    threat = ThreatModel(eta=radius, norm="l2")
    rows = np.flatnonzero(~before.broken)
    broken, abstains = before.broken.copy(), np.zeros(len(y), bool)
    if len(rows):
        pgd = PGD(threat, steps=settings.attack_steps, stop_early=False)
        pgd.compiles_itself = True  # one step: all of them as one graph take seconds to trace
        smoothed = Smoothed(
            classifier, sigma=settings.sigma, samples=settings.attack_draws, seed=settings.seed
        )
        size = default_batch_size(tuple(x.shape[1:]), calls=settings.attack_draws)
        z = perturb(
            smoothed,
            pgd,
            _some(x, rows),
            y[rows],
            seed=settings.seed,
            batch_size=max(1, min(size, LARGEST_FORWARD // settings.attack_draws)),
            kept=batches,
            progress=progress,
        )
        votes = counts(
            classifier, z, settings.sigma, JUDGES, settings.seed, stream=JUDGMENT, indices=rows
        )
        label = voted(votes, settings.alpha)
        broken[rows] = (label != y[rows]) & (label != ABSTAIN)
        abstains[rows] = label == ABSTAIN
    base = before.base_wrong.copy()
    rows = np.flatnonzero(~base)
    if len(rows):
        pgd = PGD(threat, steps=settings.attack_steps)
        z = perturb(classifier, pgd, _some(x, rows), y[rows], seed=settings.seed)
        base[rows] = misclassified(classifier, z, y[rows])
    seconds = float("nan") if resumed else time.monotonic() - began
    found = Attacked(radius, broken, abstains & ~broken, base, seconds)
    kept.save(functools.partial(_write, found))
    if kept.path is not None:
        batches.clear()
    return found


def _some(x, rows):
    return x[rows] if isinstance(x, np.ndarray) else np.concatenate([x[i : i + 1] for i in rows])


def _read(path) -> Attacked:
    with np.load(path) as kept:
        found: dict[str, Any] = {name: kept[name] for name in kept.files}
    found |= {name: float(found[name]) for name in ("radius", "seconds")}
    return Attacked(**found)


def _write(found, path) -> None:
    np.savez_compressed(path, **dataclasses.asdict(found))
