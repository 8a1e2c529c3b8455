"""The adaptive attacker: gradients of the enumerated expectation over a classifier's draws."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow import Tensor

from mmtf import losses
from mmtf.attacks.base import Found
from mmtf.attacks.iterated import PGD
from mmtf.attacks.queries import gradient_of, where_per_example
from mmtf.classifiers.classifier import Classifier, as_classifier
from mmtf.errors import require, require_choice, require_int, require_seed
from mmtf.evaluation.runner import perturb
from mmtf.evaluation.verdict import misclassified
from mmtf.threat import ThreatModel

# Losses of the adaptive attacker, see `ExpectedErrorPGD`.
LOSSES = ("cross_entropy", "margin")
# An expected error this close to 1 is one: the probabilities add up to 1 only up to rounding.
CERTAIN = 1.0 - 1e-6


def expected_errors(
    classifier: Any, z: np.ndarray, y: np.ndarray, batch_size: int | None = None
) -> np.ndarray:
    """sum_d p_d 1[f_d(z) != y]: the probability that a draw of the classifier is wrong, exactly.

    Args:
      classifier: a Classifier with `draws()`, as `mmtf.mixtures.Mixture`; of a deterministic one
        the result is 0 or 1.
      z: images, float32 [N, H, W, C].
      y: int [N], labels.
      batch_size: see `mmtf.evaluation.misclassified`.

    Returns:
      float64 [N], in [0, 1].
    """
    draws = as_classifier(classifier).at("float32").draws()
    wrong = [weight * misclassified(net, z, y, batch_size) for weight, net in draws]
    return np.minimum(np.sum(wrong, 0), 1.0)


class State(NamedTuple):
    """Iterate, label and region, and the best iterate so far with its expected error."""

    z: Tensor
    labels: Tensor
    region: tuple
    best: Tensor
    most: Tensor


@dataclasses.dataclass(eq=False, repr=False, kw_only=True)
class ExpectedErrorPGD(PGD):
    """PGD on a classifier with finitely many draws; keeps the iterate of most expected error.

    The gradient is that of the exact expectation, over `classifier.draws()` with probabilities p_d:

      cross_entropy: -log sum_d p_d softmax f_d(z)[y];
      margin: sum_d p_d min(0, max_{i != y} f_d(z)_i - f_d(z)_y), the sum of clipped margins, in
        which a net that is already fooled has no more weight.

    Of the iterates, the first one with the largest sum_d p_d 1[f_d wrong] is returned. On a
    deterministic classifier it is PGD.

    Args:
      threat: threat model.
      steps, step_size, decay: see `mmtf.attacks.PGD`.
      loss: `cross_entropy` or `margin`.

    Raises:
      ConfigError: another loss, a target, several restarts, or stop_early=False.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice("loss", self.loss, LOSSES)
        plain = self.target is None and self.restarts == 1 and self.stop_early
        require(plain, "no target, restarts=1 and stop_early=True", self)

    def init(
        self, classifier: Classifier, x: Tensor, labels: Tensor, start: Tensor
    ) -> tuple[Any, None]:
        none = tf.fill(tf.shape(labels), tf.constant(-1.0))
        return State(start, labels, self.threat.region(x), start, none), None

    def schedule(self, x: Tensor, seed: Tensor) -> Iterator[Tensor]:
        # The last step, of size 0, judges the last iterate.
        return (tf.constant(size, x.dtype) for size in [*self.step_sizes(), 0.0])

    def step(self, classifier: Classifier, state: Any, settings: Tensor) -> tuple[Any, Found]:
        z, labels, region, best, most = state
        draws = classifier.draws()
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(z)
            logits = [net(z, training=False) for _, net in draws]
            weights = [weight for weight, _ in draws]
            total = tf.reduce_sum(expected_loss(self.loss, weights, logits, labels))
        after = self.threat.into(
            self.threat.stepped(z, gradient_of(tape, total, z), settings), region
        )
        error = tf.add_n(
            [w * losses.errors(one, labels) for w, one in zip(weights, logits, strict=True)]
        )
        better = error > most
        best, most = where_per_example(better, z, best), tf.where(better, error, most)
        return State(after, labels, region, best, most), Found(best, most >= CERTAIN)

    def result(self, state: Any) -> Tensor:
        return state.best


def expected_loss(
    loss: str, weights: Sequence[float], logits: Sequence[Tensor], labels: Tensor
) -> Tensor:
    """The losses of `ExpectedErrorPGD`, float32 [N].

    Args:
      loss: `cross_entropy` or `margin`.
      weights: the probabilities p_d.
      logits: those of each net, [N, classes].
      labels: int [N].

    Example:
      >>> logits = [tf.constant([[0.0, 0.0]]), tf.constant([[3.0, 1.0]])]
      >>> float(expected_loss("margin", [0.5, 0.5], logits, tf.constant([0]))[0])
      -1.0
    """
    if loss == "margin":
        parts = [
            weight * tf.minimum(losses.margin(one, labels), 0.0)
            for weight, one in zip(weights, logits, strict=True)
        ]
        return tf.add_n(parts)
    logs = [
        np.log(weight) - losses.cross_entropy(one, labels)
        for weight, one in zip(weights, logits, strict=True)
    ]
    return -tf.reduce_logsumexp(tf.stack(logs), 0)


@dataclasses.dataclass(frozen=True, eq=False)
class Adaptive:
    """The strongest images found by `adaptive_attack`.

    Attributes:
      images: float32 [N, H, W, C].
      errors: float64 [N], the exact expected error of each.
    """

    images: np.ndarray
    errors: np.ndarray


def adaptive_attack(
    classifier: Any,
    threat: ThreatModel,
    x: np.ndarray,
    y: np.ndarray,
    *,
    steps: int = 40,
    restarts: int = 1,
    seed: int = 0,
) -> Adaptive:
    """Attacks a mixture with PGD on both losses of `ExpectedErrorPGD`; the strongest image counts.

    The clean image is among the candidates. The verdict is the exact expected error, so it is that
    of a lower bound on the best attack's.

    Args:
      classifier: a Classifier with `draws()`; a single net is attacked by PGD.
      threat: the ball and the box.
      x: images, float32 [N, H, W, C].
      y: int [N], labels.
      steps: of each PGD, > 0.
      restarts: random starts for each loss, > 0.
      seed: of the random starts, >= 0.
    """
    require_int("restarts", restarts)
    require_seed(seed)
    classifier = as_classifier(classifier)
    images, errors = np.array(x, np.float32), expected_errors(classifier, x, y)
    for restart in range(restarts):
        for loss in LOSSES:
            rows = np.flatnonzero(errors < CERTAIN)
            if not len(rows):
                break
            pgd = ExpectedErrorPGD(threat, steps=steps, loss=loss)
            z = perturb(classifier, pgd, x[rows], y[rows], seed=seed + restart)
            found = expected_errors(classifier, z, y[rows])
            better = found > errors[rows]
            images[rows[better]], errors[rows[better]] = z[better], found[better]
    return Adaptive(images, errors)
