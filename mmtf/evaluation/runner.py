"""Runs one attack on one classifier, checks its images and measures the error in float32."""

import collections
import time
from collections.abc import Iterator, MutableMapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from mmtf.attacks.base import Attack
from mmtf.attacks.loop import Iteration, run, watching
from mmtf.attacks.queries import misclassified_fn, require_labels
from mmtf.classifiers.classifier import Classifier, as_classifier
from mmtf.data.sources import ImageSource
from mmtf.errors import RunError, require
from mmtf.evaluation.batching import default_batch_size
from mmtf.evaluation.minimal_perturbation import minimal_distance
from mmtf.evaluation.results import NO_TARGET, Result
from mmtf.evaluation.verdict import accepted, misclassified
from mmtf.radius import radius_text
from mmtf.runtime.devices import full_float32
from mmtf.training.progress import Display


class BrokenConstraint(RunError):
    """An attack returned images outside the ball or the box, or NaN: its error is meaningless."""


def measure(
    classifier: Any,
    attack: Attack,
    x: np.ndarray | ImageSource,
    y: np.ndarray,
    *,
    name: str,
    seed: int = 0,
    keep: int = 0,
    precision: str = "float32",
    batch_size: int | None = None,
    distances: bool = False,
    kept: MutableMapping[int, np.ndarray] | None = None,
    progress: Display | None = None,
) -> Result:
    """Runs an attack against a classifier and measures the error on its images in float32.

    Args:
      classifier: a Classifier, a Keras model, or a function (images, training=False) -> logits.
      attack: the attack.
      x: images in the box, float32 [N, H, W, C]; an array, or an ImageSource, of which one batch
        after the other is read.
      y: labels, int [N].
      name: the attack's name in the result.
      seed: for random starts.
      keep: number of adversarial images stored in the result, the first ones.
      precision, batch_size, kept, progress: see `perturb`.
      distances: whether to compute the smallest misclassified perturbation of each example; its
        time is not included in the result's seconds.

    Raises:
      BrokenConstraint: an adversarial image lies outside the ball or the box, or holds NaN.
      ConfigError: there are no examples, images lie outside the box, or a label is no class.
    """
    began, spent = time.monotonic(), 0.0
    found: dict[str, list[np.ndarray]] = collections.defaultdict(list)
    given: dict[str, Any] = {"seed": seed, "precision": precision, "batch_size": batch_size}
    for part in _parts(classifier, attack, x, y, **given, kept=kept, progress=progress):
        size, left = len(part.z), keep - sum(len(one) for one in found["images"])
        found["wrong"].append(misclassified(classifier, part.z, part.y, size))
        kept_images = accepted(classifier, part.z, size)
        if kept_images is not None:
            found["accepted"].append(kept_images)
        if left > 0:
            found["images"].append(part.z[:left])
        if part.targets is not None:
            reached = ~misclassified(classifier, part.z, part.targets, size)
            found["reached"].append(reached if kept_images is None else reached & kept_images)
            found["targets"].append(np.where(part.targets == part.y, NO_TARGET, part.targets))
        if distances:
            before = time.monotonic()
            pair = part.x, part.z, part.y, found["wrong"][-1]
            nearest = minimal_distance(classifier, *pair, attack.threat, batch_size=size)
            found["distance"].append(nearest)
            spent += time.monotonic() - before
    arrays: dict[str, Any] = {key: np.concatenate(parts) for key, parts in found.items() if parts}
    return Result(attack=name, seconds=time.monotonic() - began - spent, **arrays)


def perturb(
    classifier: Any,
    attack: Attack,
    x: np.ndarray | ImageSource,
    y: np.ndarray,
    *,
    seed: int = 0,
    precision: str = "float32",
    batch_size: int | None = None,
    kept: MutableMapping[int, np.ndarray] | None = None,
    progress: Display | None = None,
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
    given: dict[str, Any] = {"seed": seed, "precision": precision, "batch_size": batch_size}
    parts = _parts(classifier, attack, x, y, **given, kept=kept, progress=progress)
    return np.concatenate([part.z for part in parts])


class _Part(NamedTuple):
    """A batch: clean images, labels, adversarial images, and the target classes or None."""

    x: np.ndarray
    y: np.ndarray
    z: np.ndarray
    targets: np.ndarray | None


def _parts(
    classifier: Any,
    attack: Attack,
    x: Any,
    y: Any,
    *,
    seed: int,
    precision: str,
    batch_size: int | None,
    kept: MutableMapping[int, np.ndarray] | None,
    progress: Display | None,
) -> Iterator[_Part]:
    """Attacks one batch after the other; no more than one batch of `x` is read at a time."""
    x = x if isinstance(x, ImageSource) else np.asarray(x, np.float32)
    y = np.asarray(y, np.int32)
    require(0 < len(x) == len(y), "as many labels as images, at least one", (len(x), len(y)))
    if isinstance(x, np.ndarray):
        attack.threat.require_in_box(x)
    size = batch_size or default_batch_size(tuple(x.shape[1:]))
    classifier = as_classifier(classifier)
    require_labels(y, classifier.num_classes)
    for number, start in enumerate(range(0, len(x), size)):
        images = np.asarray(x[start : start + size], np.float32)
        labels = tf.constant(y[start : start + size])
        own = tf.random.experimental.stateless_fold_in(tf.constant([seed, 0]), number)
        attack.threat.require_in_box(images)
        with full_float32():
            given = tf.constant(images), labels, own
            z, targets = None if kept is None else kept.get(number), None
            if z is not None and z.shape == images.shape:
                targets = _targets(attack, classifier.at("float32"), *given)
            # In low precision the kept images do not tell which of them were attacked again.
            low = targets is not None and precision != "float32" and attack.queries_model
            if z is None or z.shape != images.shape or low:
                with watching(_Watcher(progress, start, len(images))):
                    z, targets = _attacked(attack, classifier, *given, precision)
                if kept is not None:
                    kept[number] = z
        broken = int(attack.threat.violations(z, images).sum())
        if broken:
            raise BrokenConstraint(
                f"{attack!r} returned {broken} of {len(z)} images outside the ball of radius "
                f"{radius_text(attack.threat.eta)} or the box, or with NaN."
            )
        yield _Part(images, y[start : start + size], z, targets)
        if progress is not None:
            progress.update(start + len(z), {})


def _targets(attack, classifier, *given) -> np.ndarray | None:
    targets = attack.aims_at(classifier, *given)
    return None if targets is None else np.array(targets)


def _attacked(attack, classifier: Classifier, images, labels, seed, precision):
    """Adversarial images, and the classes that they aim at or None."""
    full = classifier.at("float32")
    if precision == "float32" or not attack.queries_model:
        z = run(attack, full, images, labels, seed).numpy()
        return z, _targets(attack, full, images, labels, seed)
    low = classifier.at(precision)
    z, targets = run(attack, low, images, labels, seed), _targets(attack, low, images, labels, seed)
    again = (misclassified_fn(low)(z, labels) > misclassified_fn(full)(z, labels)).numpy()
    z = z.numpy()
    if again.any():
        z[again] = run(attack, full, images[again], labels[again], seed).numpy()
        if targets is not None:
            targets[again] = _targets(attack, full, images[again], labels[again], seed)
    return z, targets


class _Watcher:
    """Updates a Progress during the attack on one batch of images.

    The part of the batch's work that is done counts as so many of its images.
    """

    def __init__(self, progress: Display | None, done: int, images: int):
        self._progress, self._done, self._images = progress, done, images

    def __call__(self, now: Iteration) -> None:
        if self._progress is None:
            return
        of = "" if now.total is None else f"/{now.total}"
        inside: dict[str, float | str] = {} if now.part is None else {"part": now.part}
        inside |= {"iteration": f"{now.number}{of}", "left": now.left}
        self._progress.update(self._done + now.share * self._images, inside)
