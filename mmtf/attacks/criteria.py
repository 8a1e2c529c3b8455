"""Success criteria of attacks: misclassification, or classification as a target class."""

import dataclasses
import numbers
from collections.abc import Callable
from typing import Any

import tensorflow as tf
from tensorflow import Tensor

from mmtf import losses
from mmtf.attacks import loop
from mmtf.attacks.base import Attack
from mmtf.attacks.queries import program, where_per_example
from mmtf.classifiers.classifier import Classifier, as_classifier
from mmtf.errors import require, require_bool, require_int

NAMED = ("least_likely", "random")
TARGETS = "target None, 'least_likely', 'random' or a class >= 0"
# Folded into the seed, so that random targets are independent of random starts.
TARGET_STREAM = 1 << 20


class Criterion:
    """Defines when an attack succeeds, and the loss it maximizes.

    An untargeted attack raises l(z, y) until z is misclassified. A targeted attack lowers l(z, t)
    until z is classified as the target t. Both take one label per example, y or t, and maximize a
    loss of the logits and that label.

    Args:
      target: None: untargeted. `least_likely`: the wrong class with the smallest logit at the
        clean image. `random`: a wrong class drawn with the attack's seed. An integer: this class
        for all examples; the clean image is returned for examples whose true class it is.

    Raises:
      ConfigError: `target` has another value.

    Source: Kurakin et al. (2017), section 2.3, for the least likely class.
    """

    def __init__(self, target: Any = None):
        is_class = isinstance(target, numbers.Integral) and not isinstance(target, bool)
        is_name = target is None or (isinstance(target, str) and target in NAMED)
        known = is_name or (is_class and target >= 0)
        require(known, TARGETS, target)
        self.target = target
        self.targeted = target is not None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Criterion) and other.target == self.target

    def __hash__(self) -> int:
        return hash(self.target)

    def labels(self, classifier: Classifier, x: Tensor, y: Any, seed: Any) -> Tensor:
        """The label of each example, int [N]: y if untargeted, else the target class.

        Args:
          classifier: the classifier under attack.
          x: float32 [N, H, W, C], clean images.
          y: int [N], true labels.
          seed: int [2], seed for random targets.

        Raises:
          ConfigError: the classifier does not have the target class, or has fewer than 2 classes.
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
        self.require_target(classes)
        return tf.fill(tf.shape(y), tf.cast(self.target, y.dtype))

    def require_target(self, classes: int) -> None:
        """Raises ConfigError if the target is a class that a classifier of `classes` has not."""
        known = not isinstance(self.target, numbers.Integral) or self.target < classes
        require(known, f"a target below {classes}, the number of classes", self.target)

    def loss(self, name: str) -> losses.Loss:
        """The loss to maximize, (logits, labels) -> [N], for a name in `losses.LOSSES`."""
        return losses.loss_to_target(name) if self.targeted else losses.LOSSES[name]

    def reached(self, logits: Tensor, labels: Tensor) -> Tensor:
        """bool [N]: misclassified, or classified as the target.

        NaN logits count as misclassified.
        """
        return (losses.errors(logits, labels) > 0) != self.targeted

    def keep_own(self, z: Tensor, x: Tensor, y: Tensor, labels: Tensor) -> Tensor:
        """Returns z, with x in place of the examples whose true class is the target."""
        if isinstance(self.target, numbers.Integral):
            return where_per_example(y == labels, x, z)
        return z


@dataclasses.dataclass(eq=False, repr=False, kw_only=True)
class TargetableAttack(Attack):
    """Base class of attacks with an optional target class.

    A subclass is iterative, or defines `run`. The argument `labels` of `run` holds the true
    labels if untargeted, else the target classes.

    Args:
      threat: threat model.
      target: see `Criterion`; None: untargeted.

    Attributes:
      loss: loss to maximize, a name in `mmtf.losses.LOSSES`.
      restarts: number of starts, > 0; inside a tf.function it must be 1.
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
        x, y, seed = self._inputs(classifier, x, y, seed)
        self.supports(classifier, x)
        labels = self.criterion.labels(classifier, x, y, seed)
        return self.criterion.keep_own(self.run(classifier, x, labels, seed), x, y, labels)

    def aims_at(self, classifier: Any, x: Any, y: Any, seed: Any) -> Tensor | None:
        if not self.criterion.targeted:
            return None
        return self.criterion.labels(self._subject(classifier), x, y, seed)

    def supports(self, classifier: Any, x: Any) -> None:
        if isinstance(self.target, numbers.Integral):
            self.criterion.require_target(count_classes(classifier, x))
        if self.loss == "dlr":
            losses.require_classes(self.maximized, count_classes(classifier, x))

    def run(self, classifier: Classifier, x: Tensor, labels: Tensor, seed: Tensor) -> Tensor:
        if not tf.executing_eagerly():
            require(self.restarts == 1, "restarts=1 inside a tf.function", self.restarts)

        def start(number, rows):
            return self.starts(x, rows, loop.restart_seed(seed, number))

        return loop.restarted(self, classifier, x, labels, seed, self.restarts, start)

    def start(self, x: Tensor, seed: Tensor) -> Tensor:
        """Starting points of the iterates; by default the clean images."""
        return x

    def starts(self, x: Tensor, rows: Tensor | None, seed: Tensor) -> Tensor:
        """Starting points of the examples with indices `rows`, int [n]; None: all examples."""
        return loop.rows_of(self.start(x, seed), rows)

    def maximized(self, logits: Tensor, *labels: Tensor) -> Tensor:
        """Per-example loss to maximize, [N]; `labels` as in `run`."""
        return self.criterion.loss(self.loss)(logits, *labels)

    def succeeds(self, classifier: Classifier, z: Tensor, labels: Tensor) -> Tensor:
        """bool [N]: misclassified, or classified as the target."""
        return super().succeeds(classifier, z, labels) != self.criterion.targeted


def require_restarts(restarts: int, stop_early: bool) -> None:
    """Raises ConfigError unless restarts > 0, and = 1 for an attack without early stopping."""
    require_int("restarts", restarts)
    require_bool("stop_early", stop_early)
    require(restarts == 1 or stop_early, "stop_early=True with restarts > 1", stop_early)


def wrong_classes(classifier: Callable, x: Tensor, y: Tensor) -> Tensor:
    """int32 [N, C - 1]: the wrong classes in descending order of their logits."""
    logits = tf.cast(classifier(x, training=False), tf.float32)
    classes = logits.shape[-1]
    true = tf.one_hot(y, classes, on_value=True, off_value=False, dtype=tf.bool)
    return tf.math.top_k(tf.where(true, logits.dtype.min, logits), classes - 1).indices


def wrong_classes_fn(classifier: Any) -> Callable[[Tensor, Tensor], Tensor]:
    """`wrong_classes` bound to this classifier; compiled if called eagerly."""
    return program(as_classifier(classifier), "wrong classes", wrong_classes)


def count_classes(classifier: Any, x: Any) -> int:
    """Number of logits that `classifier` returns for images like `x`, [N, H, W, C] with N > 0."""
    known = getattr(classifier, "num_classes", None)
    return known or int(classifier(x[:1], training=False).shape[-1])
