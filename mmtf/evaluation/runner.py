"""Runs one attack on one classifier, checks its images and measures the error in float32."""

import dataclasses
import time
from collections.abc import MutableMapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from mmtf.attacks.base import Attack, misclassified_fn
from mmtf.attacks.loop import run, watching
from mmtf.classifiers.classifier import Classifier, as_classifier
from mmtf.errors import RunError, require
from mmtf.evaluation.batching import default_batch_size
from mmtf.evaluation.minimal_perturbation import minimal_distance
from mmtf.evaluation.verdict import misclassified
from mmtf.runtime.devices import full_float32
from mmtf.stats.intervals import wilson
from mmtf.training.progress import Progress

NO_IMAGES = np.zeros([0, 1, 1, 1], np.float32)


class BrokenConstraint(RunError):
    """An attack returned images outside the ball or the box, or NaN: its error is meaningless."""


@dataclasses.dataclass(frozen=True, eq=False)
class Result:
    """The outcome of an attack on a classifier.

    Attributes:
      attack: the attack's name in tables.
      wrong: bool [N], the examples misclassified under the attack.
      seconds: duration of the attack; NaN if part of it was done by an earlier call; None: not
        measured.
      images: the adversarial images of the first k examples, float32 [k, H, W, C].
      distance: float64 [N], size of the smallest misclassified perturbation found
        (`mmtf.evaluation.minimal_perturbation`), NaN where none was found; None: not computed.
      defense: the classifier's name in tables; None in a table of one classifier.
      eta: the radius; None in a table of one radius.
    """

    attack: str
    wrong: np.ndarray
    seconds: float | None = None
    images: np.ndarray = dataclasses.field(default_factory=lambda: NO_IMAGES)
    distance: np.ndarray | None = None
    defense: str | None = None
    eta: float | None = None

    @property
    def n(self) -> int:
        """Number of examples."""
        return len(self.wrong)

    @property
    def error(self) -> float:
        """Share of the examples that are misclassified."""
        return float(np.mean(self.wrong))

    @property
    def robust_accuracy(self) -> float:
        """1 - error; for the attack `none` this is the clean accuracy."""
        return 1.0 - self.error

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % confidence interval of the error, (low, high)."""
        return wilson(int(self.wrong.sum()), self.n)

    def to_dict(self) -> dict[str, Any]:
        """The entries of a record, as plain JSON data; attributes that are None are left out."""
        low, high = self.interval
        known: dict[str, Any] = {
            "defense": self.defense,
            "attack": self.attack,
            "eta": self.eta,
            "error": self.error,
            "ci_low": low,
            "ci_high": high,
            "n": self.n,
        }
        found = {name: value for name, value in known.items() if value is not None}
        if self.distance is not None:
            finite = self.distance[np.isfinite(self.distance)]
            found["median_distance"] = float(np.median(finite)) if len(finite) else None
        if self.seconds is not None:
            found["seconds"] = round(self.seconds, 2) if np.isfinite(self.seconds) else None
        return found


def measure(
    classifier: Any,
    attack: Attack,
    x: np.ndarray,
    y: np.ndarray,
    *,
    name: str,
    seed: int = 0,
    keep: int = 0,
    precision: str = "float32",
    batch_size: int | None = None,
    distances: bool = False,
    kept: MutableMapping[int, np.ndarray] | None = None,
    progress: Progress | None = None,
) -> Result:
    """Runs an attack against a classifier and measures the error on its images in float32.

    Args:
      classifier: a Classifier, a Keras model, or a function (images, training=False) -> logits.
      attack: the attack.
      x: images in the box, float32 [N, H, W, C].
      y: labels, int [N].
      name: the attack's name in the result.
      seed: for random starts.
      keep: number of adversarial images stored in the result, the first ones.
      precision, batch_size, kept, progress: see `perturb`.
      distances: whether to compute the smallest misclassified perturbation of each example; its
        time is not included in the result's seconds.

    Raises:
      BrokenConstraint: an adversarial image lies outside the ball or the box, or holds NaN.
      ConfigError: there are no examples, or images lie outside the box.
    """
    began = time.monotonic()
    z = perturb(
        classifier,
        attack,
        x,
        y,
        seed=seed,
        precision=precision,
        batch_size=batch_size,
        kept=kept,
        progress=progress,
    )
    wrong = misclassified(classifier, z, y, batch_size)
    seconds, distance = time.monotonic() - began, None
    if distances:
        distance = minimal_distance(
            classifier, x, z, y, wrong, attack.threat, batch_size=batch_size
        )
    return Result(name, wrong, seconds, z[:keep], distance)


def perturb(
    classifier: Any,
    attack: Attack,
    x: np.ndarray,
    y: np.ndarray,
    *,
    seed: int = 0,
    precision: str = "float32",
    batch_size: int | None = None,
    kept: MutableMapping[int, np.ndarray] | None = None,
    progress: Progress | None = None,
) -> np.ndarray:
    """Computes adversarial images for all of `x` and checks that they meet the threat model.

    Args:
      classifier, attack, x, y, seed: see `measure`.
      precision: `float32` or `bfloat16`, in which a Keras classifier computes during the attack.
        Images misclassified in bfloat16 but not in float32 are attacked again in float32.
      batch_size: images attacked together; random starts are drawn per batch. None:
        `default_batch_size` of the images.
      kept: batch number -> images of finished batches. These are not attacked again; new ones are
        added.
      progress: display that is updated with the number of images attacked.

    Returns:
      float32 [N, H, W, C].

    Raises:
      BrokenConstraint, ConfigError: see `measure`.
    """
    kept = {} if kept is None else kept
    x, y = np.asarray(x, np.float32), np.asarray(y, np.int32)
    require(0 < len(x) == len(y), "as many labels as images, at least one", (len(x), len(y)))
    attack.threat.require_in_box(x)
    classifier, size = as_classifier(classifier), batch_size or default_batch_size(x.shape[1:])
    batches = []
    with full_float32():
        for number, start in enumerate(range(0, len(x), size)):
            images, labels = tf.constant(x[start : start + size]), tf.constant(y[start:][:size])
            own = tf.random.experimental.stateless_fold_in(tf.constant([seed, 0]), number)
            z = kept.get(number)
            if z is None or z.shape != images.shape:
                with watching(_Watcher(progress, start)):
                    z = _attacked(attack, classifier, images, labels, own, precision)
                kept[number] = z
            broken = int(attack.threat.violations(z, images.numpy()).sum())
            if broken:
                raise BrokenConstraint(
                    f"{attack!r} returned {broken} of {len(z)} images outside the ball of radius "
                    f"{attack.threat.eta:g} or the box, or with NaN."
                )
            batches.append(z)
            if progress is not None:
                progress.update(start + len(z), {})
    return np.concatenate(batches)


def worst(results: Sequence[Result], clean: np.ndarray) -> Result:
    """Takes the per-example worst case over `results` and the unperturbed images.

    An example counts as an error if it is misclassified under any attack or without one: the
    unperturbed image lies in every ball. `distance` is the smallest over the results and `seconds`
    their sum, if all results have them.

    Args:
      results: all on the same N examples.
      clean: bool [N], > 0 examples: which unperturbed images are misclassified.

    Raises:
      ConfigError: the numbers of examples differ, or are 0.
    """
    require(
        len(clean) > 0 and all(one.n == len(clean) for one in results),
        f"results on the same examples, {len(clean)} > 0",
        [one.n for one in results],
    )
    wrong = np.logical_or.reduce([clean, *(one.wrong for one in results)])
    seconds = [one.seconds for one in results if one.seconds is not None]
    distances = [one.distance for one in results if one.distance is not None]
    total = float(sum(seconds)) if len(seconds) == len(results) else None
    smallest = None
    if len(distances) == len(results):
        smallest = np.fmin.reduce([np.where(clean, 0.0, np.nan), *distances])
    return Result("worst", wrong, total, distance=smallest)


def _attacked(attack, classifier: Classifier, images, labels, seed, precision):
    full = classifier.at("float32")
    if precision == "float32" or not attack.queries_model:
        return run(attack, full, images, labels, seed).numpy()
    low = classifier.at(precision)
    z = run(attack, low, images, labels, seed)
    again = (misclassified_fn(low)(z, labels) > misclassified_fn(full)(z, labels)).numpy()
    z = z.numpy()
    if again.any():
        z[again] = run(attack, full, images[again], labels[again], seed).numpy()
    return z


class _Watcher:
    """Updates a Progress during the attack on one batch of images."""

    def __init__(self, progress, done):
        self._progress, self._done, self._iterations = progress, done, 0

    def __call__(self, left):
        self._iterations += 1
        if self._progress is not None:
            inside = {"iteration": self._iterations, "left": left}
            self._progress.update(self._done, inside)
