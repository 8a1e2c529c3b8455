"""DeepFool: steps onto the nearest linearized class boundary (Moosavi-Dezfooli et al. 2016)."""

import dataclasses
import itertools
from collections.abc import Iterator
from typing import NamedTuple

import tensorflow as tf
from tensorflow import Tensor

from mmtf.attacks import loop
from mmtf.attacks.base import Attack, Found
from mmtf.attacks.criteria import wrong_classes_fn
from mmtf.attacks.queries import errors_at, per_example, where_per_example
from mmtf.classifiers.classifier import Classifier
from mmtf.errors import require_int, require_number

TINY = 1e-12


class State(NamedTuple):
    """State of each example; tensors [N, ...].

    Attributes:
      x: the clean image.
      labels: the true label.
      others: the wrong classes among the candidates, ascending, int32 [N, K].
      perturbation: the perturbation so far without the overshoot.
    """

    x: Tensor
    labels: Tensor
    others: Tensor
    perturbation: Tensor


@dataclasses.dataclass(eq=False, repr=False, kw_only=True)
class DeepFool(Attack):
    """Steps to the nearest linearized class boundary until the image is misclassified.

    Each step chooses the candidate class k that minimizes |f_k - f_y| / ||w_k||_q, with f the
    logits, w_k the gradient of f_k - f_y and q the dual norm, and adds the smallest step from the
    iterate that reaches f_k = f_y on the linearized logits. An example is finished once its result,
    projected onto the ball, is misclassified. The attack searches for a small perturbation, not for
    a large loss. A step takes one backward pass for each wrong candidate; its memory does not
    depend on their number.

    Args:
      threat: threat model. A result outside the ball is projected onto it and may then be
        classified correctly.
      steps: maximum number of steps, > 0.
      overshoot: the perturbation is multiplied by 1 + overshoot, >= 0.
      candidates: number of classes whose boundaries are considered, > 1: the true class and the
        wrong ones with the largest logits at the clean image. The authors' code takes 10 as well.
        None, or at least the number of classes: all.

    Source: Moosavi-Dezfooli et al. (2016), Algorithm 2 and section 3.2 for other norms.
    """

    compiles_itself = True
    steps: int = 50
    overshoot: float = 0.02
    candidates: int | None = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        require_int("steps", self.steps)
        require_number("overshoot", self.overshoot, at_least=0)
        require_candidates(self.candidates)

    def run(self, classifier: Classifier, x: Tensor, labels: Tensor, seed: Tensor) -> Tensor:
        return loop.attempt(self, classifier, x, labels, (), seed)

    def init(
        self, classifier: Classifier, x: Tensor, labels: Tensor, start: tuple
    ) -> tuple[State, None]:
        order = wrong_classes_fn(classifier)(x, labels)
        if self.candidates is not None:
            order = order[:, : self.candidates - 1]
        return State(x, labels, tf.sort(order), tf.zeros_like(x)), None

    def schedule(self, x: Tensor, seed: Tensor) -> Iterator[tuple]:
        return itertools.repeat((), self.steps)

    def passes(self, classes: int) -> float:
        return self.steps * 2.0 * min(self.candidates or classes, classes)

    def result(self, state: State) -> Tensor:
        delta = (1.0 + self.overshoot) * state.perturbation
        return self.threat.project(state.x + delta, state.x)

    def step(self, classifier: Classifier, state: State, settings: tuple) -> tuple[State, Found]:
        x, y, others, moved = state
        # Linearize at the result with overshoot, as in the authors' code: linearizing at x + moved
        # would make each further step cover the overshoot again.
        z = self.threat.clip_box(x + (1.0 + self.overshoot) * moved)
        length, normal = self._nearest_boundary(classifier, z, y, others)
        # Slightly more than the distance, so that a linear boundary is crossed, not just reached.
        length = per_example(length * (1.0 + 1e-4) + 1e-6, x)
        state = State(x, y, others, moved + length * self.threat.steepest_step(normal))
        z = self.result(state)
        return state, Found(z, errors_at(classifier, z, y) > 0)

    def _nearest_boundary(self, classifier, z, y, others):
        """Distance [N] to the nearest linearized boundary, and its normal w_k [N, H, W, C].

        The loop over the candidates keeps the nearest boundary so far, so that its graph and its
        memory are the same for any number of them.
        """
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch(z)
            logits = tf.cast(classifier(z, training=False), tf.float32)
        classes = logits.shape[-1]
        own = tf.gather(logits, y, axis=-1, batch_dims=1)
        true = tf.one_hot(y, classes)

        def nearer(number, least, normal):
            k = others[:, number]
            gap = tf.gather(logits, k, axis=-1, batch_dims=1) - own
            towards = tf.one_hot(k, classes) - true
            w = tape.gradient(logits, z, towards, tf.UnconnectedGradients.ZERO)
            distance = tf.abs(gap) / (self._dual_norm(w) + TINY)
            closer = distance < least
            least = tf.where(closer, distance, least)
            return number + 1, least, where_per_example(closer, w, normal)

        count, far = tf.shape(others)[1], tf.fill(tf.shape(own), float("inf"))
        # One after the other: backward passes at the same time would each take their memory.
        _, least, normal = tf.while_loop(
            lambda number, *_: number < count,
            nearer,
            (tf.constant(0), far, tf.zeros_like(z)),
            parallel_iterations=1,
        )
        return least, normal

    def _dual_norm(self, gradient):
        flat = tf.reshape(gradient, [tf.shape(gradient)[0], -1])
        if self.threat.norm == "linf":
            weights = tf.reshape(tf.ones_like(gradient[:1]) * self.threat.weights, [-1])
            return tf.reduce_sum(tf.abs(flat) * weights, -1)
        return tf.sqrt(tf.reduce_sum(tf.square(flat), -1))


def require_candidates(candidates: int | None) -> None:
    """Raises ConfigError unless `candidates` is None or at least 2."""
    if candidates is not None:
        require_int("candidates", candidates, at_least=2)
