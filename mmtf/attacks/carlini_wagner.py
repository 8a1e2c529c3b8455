"""Carlini and Wagner's l2 attack: the smallest perturbation by optimization (2017)."""

import dataclasses
import itertools
from collections.abc import Iterator
from typing import NamedTuple

import tensorflow as tf
from tensorflow import Tensor

from mmtf.attacks.base import gradient_of, program, where_per_example
from mmtf.attacks.criteria import TargetableAttack
from mmtf.classifiers.classifier import Classifier
from mmtf.errors import require

# tanh is not inverted at the very edge of the box, where its inverse is infinite.
EDGE = 1e-6
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8


class State(NamedTuple):
    """Of every example: c and its bounds so far, the nearest successful image and its distance."""

    x: Tensor
    labels: Tensor
    low: Tensor
    high: Tensor
    c: Tensor
    best: Tensor
    distance: Tensor


@dataclasses.dataclass(eq=False, repr=False, kw_only=True)
class CarliniWagner(TargetableAttack):
    """min ||z - x||_2^2 + c max(z_y - max_{i != y} z_i, -confidence), c by bisection.

    z = tanh(w) on the box, w by Adam; each example has its own c, raised until it is misclassified
    and lowered while it is. The nearest misclassified image is kept. With a `target` class t the
    objective is ||z - x||_2^2 + c max(max_{i != t} z_i - z_t, -confidence), and the nearest image
    classified as t is kept.

    Args:
      threat: l2. A result outside the ball is projected onto it, and then may not be
        misclassified.
      steps: of Adam for each c, > 0.
      searches: values of c tried, > 0.
      learning_rate: Adam's, > 0.
      initial_c: the first c, > 0.
      confidence: the margin by which an image must be misclassified, or taken for the target, >= 0.
      target: see `mmtf.attacks.criteria.Criterion`; None: untargeted.

    Source: Carlini & Wagner (2017), section VI-A with f_6. For l-infinity take their margin loss
    inside PGD: PGD(threat, loss="margin").
    """

    norms = ("l2",)
    compiles_itself = True
    keeps_successful = False  # `run` does: each batch stays whole
    steps: int = 200
    searches: int = 6
    learning_rate: float = 0.05
    initial_c: float = 0.1
    confidence: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("steps", "searches", "learning_rate", "initial_c"):
            require(getattr(self, name) > 0, f"{name} > 0", getattr(self, name))
        require(self.confidence >= 0, "confidence >= 0", self.confidence)

    def run(self, classifier: Classifier, x: Tensor, labels: Tensor, seed: Tensor) -> Tensor:
        z = super().run(classifier, x, labels, seed)
        return where_per_example(self.succeeds(classifier, x, labels), x, z)

    def succeeds(self, classifier: Classifier, z: Tensor, labels: Tensor) -> Tensor:
        """bool [N]: misclassified, or classified as the target, by the confidence."""
        if not self.confidence:
            return super().succeeds(classifier, z, labels)
        return program(classifier, (self.key(), "succeeds"), self._is_confident)(z, labels)

    def init(
        self, classifier: Classifier, x: Tensor, labels: Tensor, start: Tensor
    ) -> tuple[State, None]:
        count = tf.shape(x)[0]
        low, high = tf.zeros([count]), tf.fill([count], float("inf"))
        c = tf.fill([count], self.initial_c)
        return State(x, labels, low, high, c, x, tf.fill([count], float("inf"))), None

    def schedule(self, x: Tensor, seed: Tensor) -> Iterator[tuple]:
        return itertools.repeat((), self.searches)

    def step(self, classifier: Classifier, state: State, settings: tuple) -> tuple[State, None]:
        x, y, low, high, c, best, distance = state
        best, distance, success = self._search(classifier, x, y, c, best, distance)
        low, high = tf.where(success, low, c), tf.where(success, c, high)
        c = tf.where(tf.math.is_finite(high), (low + high) / 2.0, 10.0 * c)
        return State(x, y, low, high, c, best, distance), None

    def result(self, state: State) -> Tensor:
        return self.threat.project(state.best, state.x)

    def _is_confident(self, classifier, z, labels):
        logits = classifier(z, training=False)
        return self.criterion.loss("margin")(logits, labels) > self.confidence

    def _search(self, classifier, x, y, c, best, distance):
        """All steps for one c: (nearest successful image, its distance, whether one was found)."""
        low, high = self.threat.box
        middle, half = (low + high) / 2.0, (high - low) / 2.0
        w = tf.atanh(tf.clip_by_value((x - middle) / half, -1.0 + EDGE, 1.0 - EDGE))
        first, second = tf.zeros_like(w), tf.zeros_like(w)
        fell = tf.zeros_like(c, tf.bool)
        axes = list(range(1, x.shape.rank))

        def body(step, w, first, second, best, distance, fell):
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(w)
                z = middle + half * tf.tanh(w)
                squares = tf.reduce_sum(tf.square(z - x), axes)
                logits = classifier(z, training=False)
                margin = self.criterion.loss("margin")(logits, y)
                total = tf.reduce_sum(squares - c * tf.minimum(margin, self.confidence))
            wrong = (margin > self.confidence) if self.confidence else margin > 0
            nearer = wrong & (squares < distance)
            best, distance = where_per_example(nearer, z, best), tf.where(nearer, squares, distance)
            fell |= wrong
            gradient = gradient_of(tape, total, w)
            first = BETA_1 * first + (1.0 - BETA_1) * gradient
            second = BETA_2 * second + (1.0 - BETA_2) * tf.square(gradient)
            power = tf.cast(step, tf.float32)
            rate = tf.sqrt(1.0 - BETA_2**power) / (1.0 - BETA_1**power)
            w -= self.learning_rate * rate * first / (tf.sqrt(second) + EPSILON)
            return step + 1, w, first, second, best, distance, fell

        *_, best, distance, fell = tf.while_loop(
            lambda step, *_: step <= self.steps,
            body,
            (tf.constant(1), w, first, second, best, distance, fell),
        )
        return best, distance, fell
