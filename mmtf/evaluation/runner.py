"""The test error of one defense under one attack, example by example."""

import dataclasses
import time

import numpy as np
import tensorflow as tf

from mmtf.attacks.base import Attack, misclassified_fn
from mmtf.attacks.loop import run, watching
from mmtf.classifiers.classifier import as_classifier
from mmtf.classifiers.logits import require_logits
from mmtf.classifiers.precision import evaluating_in_float32
from mmtf.errors import ConfigError, require
from mmtf.stats.intervals import wilson

BLOCK = 500


class BrokenConstraint(RuntimeError):
    """An attack returned images outside the ball or the box: its figure would be worthless."""


@dataclasses.dataclass(frozen=True, eq=False)
class Outcome:
    """What an attack did to a defense.

    Attributes:
      attack: its name in tables.
      wrong: bool [N], the examples that the classifier gets wrong after the attack.
      seconds: of the attack.
      images: the adversarial images of the first examples, float32 [k, H, W, C].
    """

    attack: str
    wrong: np.ndarray
    seconds: float
    images: np.ndarray

    @property
    def n(self) -> int:
        return len(self.wrong)

    @property
    def error(self) -> float:
        return float(np.mean(self.wrong))

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of the error."""
        return wilson(int(self.wrong.sum()), self.n)


def measure(
    classifier,
    attack: Attack,
    x,
    y,
    *,
    name: str,
    seed: int = 0,
    keep: int = 0,
    precision: str = "float32",
) -> Outcome:
    """Runs `attack` against `classifier` on every example, and judges the result in float32.

    Args:
      classifier: Keras model (or function with `training`) giving logits.
      attack: any.
      x: float32 [N, H, W, C] in the box.
      y: int [N].
      name: for the outcome.
      seed: of random starts.
      keep: how many adversarial images to keep in the outcome.
      precision: of the attack, see `perturb`.

    Raises:
      BrokenConstraint: an image left the ball or the box, or holds a NaN.
      ConfigError: no examples, or images outside the box.
    """
    began = time.monotonic()
    z = perturb(classifier, attack, x, y, seed=seed, precision=precision)
    return Outcome(name, misclassified(classifier, z, y), time.monotonic() - began, z[:keep])


def perturb(
    classifier,
    attack: Attack,
    x,
    y,
    *,
    seed: int = 0,
    precision: str = "float32",
    kept=None,
    progress=None,
) -> np.ndarray:
    """The attack's images for all of `x`, re-checked; arguments and errors as in `measure`.

    Args:
      precision: `float32` or `bfloat16`, what a Keras classifier computes in for the attack. Images
        that bfloat16 takes for broken and float32 does not are attacked again, in float32.
      kept: a mutable mapping, block number -> images; what is there is not made again.
      progress: a `mmtf.training.progress.Progress` of images.
    """
    kept = {} if kept is None else kept
    x, y = np.asarray(x, np.float32), np.asarray(y, np.int32)
    require(0 < len(x) == len(y), "as many labels as images, at least one", (len(x), len(y)))
    attack.threat.require_in_box(x)
    blocks = []
    with evaluating_in_float32(classifier):
        for number, start in enumerate(range(0, len(x), BLOCK)):
            images = tf.constant(x[start : start + BLOCK])
            labels = tf.constant(y[start : start + BLOCK])
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
            blocks.append(z)
            if progress is not None:
                progress.update(start + len(z), {})
    return np.concatenate(blocks)


def _attacked(attack, classifier, images, labels, seed, precision):
    if precision == "float32" or not attack.queries_model:
        return run(attack, classifier, images, labels, seed).numpy()
    classifier = as_classifier(classifier)
    lower = classifier.at(precision)
    z = run(attack, lower, images, labels, seed)
    seem = misclassified_fn(lower)(z, labels)
    z, again = z.numpy(), (seem > misclassified_fn(classifier)(z, labels)).numpy()
    if again.any():
        z[again] = run(attack, classifier, images[again], labels[again], seed).numpy()
    return z


class _Watcher:
    """Tells a Progress what an attack is doing inside a block of images."""

    def __init__(self, progress, done):
        self._progress, self._done, self._iterations = progress, done, 0

    def __call__(self, standing):
        self._iterations += 1
        if self._progress is not None:
            inside = {"iteration": self._iterations, "standing": standing}
            self._progress.update(self._done, inside)


def misclassified(classifier, z, y) -> np.ndarray:
    """bool [N]: where `classifier`, in float32, does not give `z` its label `y`."""
    with evaluating_in_float32(classifier):
        wrong = misclassified_fn(classifier)
        blocks = [
            wrong(tf.constant(z[i : i + BLOCK]), tf.constant(y[i : i + BLOCK], tf.int32)).numpy()
            for i in range(0, len(z), BLOCK)
        ]
    return np.concatenate(blocks) > 0


def worst(outcomes: list[Outcome], clean: np.ndarray) -> Outcome:
    """The per-example worst case over `outcomes` and the images themselves.

    Args:
      outcomes: all on the same examples.
      clean: bool [N], which images are wrong as they are.
    """
    require(
        len({outcome.n for outcome in outcomes}) == 1,
        "outcomes on the same examples",
        len(outcomes),
    )
    wrong = np.logical_or.reduce([clean, *(outcome.wrong for outcome in outcomes)])
    seconds = sum(outcome.seconds for outcome in outcomes)
    return Outcome("worst", wrong, seconds, outcomes[0].images[:0])


def check_classifier(classifier, x, num_classes: int) -> None:
    """Refuses a classifier whose outputs cannot be attacked as logits.

    Args:
      classifier: a Keras model.
      x: a few input images, float32.
      num_classes: how many logits are expected.

    Raises:
      ConfigError: wrong shape, NaN, or probabilities instead of logits.
    """
    with evaluating_in_float32(classifier):
        logits = np.asarray(classifier(tf.constant(x), training=False))
    if logits.shape != (len(x), num_classes):
        raise ConfigError(
            f"Expected logits of shape {(len(x), num_classes)} from the classifier. "
            f"Received: {logits.shape}."
        )
    if not np.isfinite(logits).all():
        raise ConfigError("Expected finite logits from the classifier. Received: NaN or infinity.")
    require_logits(classifier, logits)
