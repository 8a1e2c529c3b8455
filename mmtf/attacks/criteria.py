"""When an attack succeeds: on any wrong class, or on one target class."""

import dataclasses
import numbers
from collections.abc import Callable
from typing import Any

import tensorflow as tf
from tensorflow import Tensor

from mmtf import losses
from mmtf.attacks import loop
from mmtf.attacks.base import Attack, program, where_per_example
from mmtf.classifiers.classifier import Classifier, as_classifier
from mmtf.errors import require

TARGETS = "target None, 'least_likely', 'random' or a class >= 0"
# Keeps the draw of random targets apart from the draw of random starts.
TARGET_STREAM = 1 << 20


class Criterion:
    """What counts as success, and the loss whose maximization leads there.

    Untargeted: raise l(z, y) until z is misclassified. Targeted: lower l(z, t) until z is
    classified as the target t. Both are written with one label per example, y or t, and a loss
    that is maximized.

    Args:
      target: None: untargeted. `least_likely`: the wrong class with the smallest logit at the
        clean image. `random`: one of the wrong classes, by the attack's seed. A class: this one;
        an example of this very class keeps its clean image.

    Raises:
      ConfigError: another target.

    Source: Kurakin et al. (2017), section 2.3, for the least likely class.
    """

    def __init__(self, target: Any = None):
        is_class = isinstance(target, numbers.Integral) and not isinstance(target, bool)
        known = target in (None, "least_likely", "random") or (is_class and target >= 0)
        require(known, TARGETS, target)
        self.target = target
        self.targeted = target is not None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Criterion) and other.target == self.target

    def __hash__(self) -> int:
        return hash(self.target)

    def labels(self, classifier: Classifier, x: Tensor, y: Any, seed: Any) -> Tensor:
        """int [N]: y, or each example's target class.

        Raises:
          ConfigError: the target is none of the classifier's classes.
        """
        y = tf.convert_to_tensor(y)
        if not self.targeted:
            return y
        if self.target == "least_likely":
            return tf.cast(wrong_classes_fn(classifier)(x, y)[:, -1], y.dtype)
        classes = count_classes(classifier, x)
        require(classes > 1, "a classifier of at least 2 classes", classes)
        if self.target == "random":
            own = tf.random.experimental.stateless_fold_in(
                tf.convert_to_tensor(seed), TARGET_STREAM
            )
            ahead = tf.random.stateless_uniform(tf.shape(y), own, 1, classes, tf.int32)
            return (y + tf.cast(ahead, y.dtype)) % classes
        require(
            self.target < classes, f"a target below {classes}, the number of classes", self.target
        )
        return tf.fill(tf.shape(y), tf.cast(self.target, y.dtype))

    def loss(self, name: str) -> losses.Loss:
        """The loss that is maximized, (logits, labels) -> [N], by its name in `losses.LOSSES`."""
        return losses.loss_to_target(name) if self.targeted else losses.LOSSES[name]

    def reached(self, logits: Tensor, labels: Tensor) -> Tensor:
        """bool [N]: misclassified, or classified as the target. NaN logits are misclassified."""
        return (losses.errors(logits, labels) > 0) != self.targeted

    def keep_own(self, z: Tensor, x: Tensor, y: Tensor, labels: Tensor) -> Tensor:
        """z, and x where the target is the example's own class."""
        if isinstance(self.target, numbers.Integral):
            return where_per_example(y == labels, x, z)
        return z


@dataclasses.dataclass(eq=False, repr=False, kw_only=True)
class TargetableAttack(Attack):
    """An attack that takes a `target`.

    A subclass is iterative, or defines a `run` whose `labels` are those of the criterion: the true
    labels, or the targets.

    Args:
      threat: the ball and the box.
      target: see `Criterion`; None: untargeted.

    Attributes:
      loss: what is maximized, by its name in `mmtf.losses.LOSSES`.
      restarts: number of starts, > 0; in a graph it must be 1.
    """

    loss = "cross_entropy"
    restarts = 1
    target: int | str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.criterion = Criterion(self.target)
        self.deterministic = type(self).deterministic and self.target != "random"

    def __call__(self, classifier: Any, x: Any, y: Any, *, seed: Any = (0, 0)) -> Tensor:
        classifier = self._subject(classifier)
        self.supports(classifier, x)
        x, y, seed = (tf.convert_to_tensor(value) for value in (x, y, seed))
        labels = self.criterion.labels(classifier, x, y, seed)
        return self.criterion.keep_own(self.run(classifier, x, labels, seed), x, y, labels)

    def supports(self, classifier: Any, x: Any) -> None:
        if self.loss == "dlr":
            losses.require_classes(self.maximized, count_classes(classifier, x))

    def run(self, classifier: Classifier, x: Tensor, labels: Tensor, seed: Tensor) -> Tensor:
        if not tf.executing_eagerly():
            require(self.restarts == 1, "restarts=1 inside a tf.function", self.restarts)

        def start(number, rows):
            return self.starts(x, rows, loop.restart_seed(seed, number))

        return loop.restarted(self, classifier, x, labels, seed, self.restarts, start)

    def start(self, x: Tensor, seed: Tensor) -> Tensor:
        """Where the iterates start; the images themselves unless a subclass says otherwise."""
        return x

    def starts(self, x: Tensor, rows: Tensor | None, seed: Tensor) -> Tensor:
        """Where the iterates of the examples `rows` start; None stands for all."""
        return loop.rows_of(self.start(x, seed), rows)

    def maximized(self, logits: Tensor, *labels: Tensor) -> Tensor:
        """The value of `loss`, [N]; `labels` are those of `run`."""
        return self.criterion.loss(self.loss)(logits, *labels)

    def succeeds(self, classifier: Classifier, z: Tensor, labels: Tensor) -> Tensor:
        """bool [N]: misclassified, or classified as the target."""
        return super().succeeds(classifier, z, labels) != self.criterion.targeted


def require_restarts(restarts: int, stop_early: bool) -> None:
    """Raises ConfigError for no restarts, or several of an attack that does not stop early."""
    require(restarts > 0, "restarts > 0", restarts)
    require(restarts == 1 or stop_early, "stop_early=True with restarts > 1", stop_early)


def wrong_classes(classifier: Callable, x: Tensor, y: Tensor) -> Tensor:
    """int32 [N, C - 1]: the wrong classes, the most likely first."""
    logits = tf.cast(classifier(x, training=False), tf.float32)
    classes = logits.shape[-1]
    true = tf.one_hot(y, classes, on_value=True, off_value=False, dtype=tf.bool)
    return tf.math.top_k(tf.where(true, logits.dtype.min, logits), classes - 1).indices


def wrong_classes_fn(classifier: Any) -> Callable[[Tensor, Tensor], Tensor]:
    """`wrong_classes` of this classifier as a compiled program."""
    return program(as_classifier(classifier), "wrong classes", wrong_classes)


def count_classes(classifier: Any, x: Any) -> int:
    """How many logits `classifier` gives for images like `x`."""
    known = getattr(classifier, "num_classes", None)
    return known or int(classifier(x[:1], training=False).shape[-1])
