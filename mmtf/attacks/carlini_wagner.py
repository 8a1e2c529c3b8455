"""Carlini and Wagner's l2 attack: minimal perturbation by optimization (2017)."""

import dataclasses
import itertools
from collections.abc import Iterator
from typing import NamedTuple

import tensorflow as tf
from tensorflow import Tensor

from mmtf.attacks.criteria import TargetableAttack
from mmtf.attacks.queries import gradient_of, program, where_per_example
from mmtf.classifiers.classifier import Classifier
from mmtf.errors import require_int, require_number

# Pixels are kept this far from the edge of the box, where the inverse of tanh is infinite.
EDGE = 1e-6
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8


class State(NamedTuple):
    """State of each example; tensors [N, ...].

    Attributes:
      x: the clean image.
      labels: the true label, or the target.
      low, high: bounds of the bisection for c.
      c: weight of the margin term.
      best: the nearest successful image so far.
      distance: squared l2 distance from `x` to `best`; inf while there is none.
    """

    x: Tensor
    labels: Tensor
    low: Tensor
    high: Tensor
    c: Tensor
    best: Tensor
    distance: Tensor


@dataclasses.dataclass(eq=False, repr=False, kw_only=True)
class CarliniWagner(TargetableAttack):
    """Minimizes ||z - x||_2^2 + c max(f_y(z) - max_{i != y} f_i(z), -confidence), f the logits.

    The image is parametrized as z = tanh(w), scaled to the box, and Adam optimizes w. Each example
    has its own c, found by bisection: c is raised after a search without success and lowered after
    a success. The result is the nearest misclassified image. With a target class t the objective
    is ||z - x||_2^2 + c max(max_{i != t} f_i(z) - f_t(z), -confidence), and the result is the
    nearest image classified as t.

    Args:
      threat: threat model with norm l2. A result outside the ball is projected onto it and may
        then be classified correctly.
      steps: Adam steps for each value of c, > 0.
      searches: number of values of c, > 0.
      learning_rate: learning rate of Adam, > 0.
      initial_c: first value of c, > 0.
      confidence: minimum margin of a success, in logits, >= 0.
      target: target class, see `mmtf.attacks.criteria.Criterion`; None: untargeted.

    Source: Carlini & Wagner (2017), section VI-A with f_6. For l-infinity, use their margin loss
    in PGD: PGD(threat, loss="margin").
    """

    norms = ("l2",)
    compiles_itself = True
    keeps_successful = False  # `run` restores these images, so that no example is dropped
    steps: int = 200
    searches: int = 6
    learning_rate: float = 0.05
    initial_c: float = 0.1
    confidence: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("steps", "searches"):
            require_int(name, getattr(self, name))
        for name in ("learning_rate", "initial_c"):
            require_number(name, getattr(self, name), above=0)
        require_number("confidence", self.confidence, at_least=0)

    def run(self, classifier: Classifier, x: Tensor, labels: Tensor, seed: Tensor) -> Tensor:
        z = super().run(classifier, x, labels, seed)
        return where_per_example(self.succeeds(classifier, x, labels), x, z)

    def succeeds(self, classifier: Classifier, z: Tensor, labels: Tensor) -> Tensor:
        """bool [N]: misclassified, or classified as the target, by a margin above `confidence`."""
        if not self.confidence:
            return super().succeeds(classifier, z, labels)
        return program(classifier, (self.key(), "succeeds"), self._is_confident)(z, labels)

    def init(
        self, classifier: Classifier, x: Tensor, labels: Tensor, start: Tensor
    ) -> tuple[State, None]:
        count = tf.shape(x)[0]
        low, high = tf.zeros([count]), tf.fill([count], float("inf"))
        c = tf.fill([count], float(self.initial_c))
        return State(x, labels, low, high, c, x, tf.fill([count], float("inf"))), None

    def schedule(self, x: Tensor, seed: Tensor) -> Iterator[tuple]:
        return itertools.repeat((), self.searches)

    @property
    def iterations(self) -> int:
        """Number of values of c, each of which is one compiled search of `steps` Adam steps."""
        return self.searches

    def passes(self, classes: int) -> float:
        return 3.0 * self.steps * self.searches

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
        """Runs Adam for one c; returns (best, distance, whether this search had a success)."""
        low, high = self.threat.box
        middle, half = (low + high) / 2.0, (high - low) / 2.0
        w = tf.atanh(tf.clip_by_value((x - middle) / half, -1.0 + EDGE, 1.0 - EDGE))
        first, second = tf.zeros_like(w), tf.zeros_like(w)
        success = tf.zeros_like(c, tf.bool)
        axes = list(range(1, x.shape.rank))

        def body(step, w, first, second, best, distance, success):
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
            success |= wrong
            gradient = gradient_of(tape, total, w)
            first = BETA_1 * first + (1.0 - BETA_1) * gradient
            second = BETA_2 * second + (1.0 - BETA_2) * tf.square(gradient)
            power = tf.cast(step, tf.float32)
            rate = tf.sqrt(1.0 - BETA_2**power) / (1.0 - BETA_1**power)
            w -= self.learning_rate * rate * first / (tf.sqrt(second) + EPSILON)
            return step + 1, w, first, second, best, distance, success

        *_, best, distance, success = tf.while_loop(
            lambda step, *_: step <= self.steps,
            body,
            (tf.constant(1), w, first, second, best, distance, success),
        )
        return best, distance, success
