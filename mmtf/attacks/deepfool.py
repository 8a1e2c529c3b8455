"""DeepFool: steps onto the nearest linearized class boundary (Moosavi-Dezfooli et al. 2016)."""

import dataclasses
import itertools
from collections.abc import Iterator
from typing import NamedTuple

import tensorflow as tf
from tensorflow import Tensor

from mmtf.attacks import loop
from mmtf.attacks.base import Attack, Found, errors_at, gradient_of, per_example
from mmtf.classifiers.classifier import Classifier
from mmtf.errors import require_int, require_number

TINY = 1e-12


class State(NamedTuple):
    """Clean image, true label, and the perturbation so far without the overshoot; [N, ...]."""

    x: Tensor
    labels: Tensor
    perturbation: Tensor


@dataclasses.dataclass(eq=False, repr=False, kw_only=True)
class DeepFool(Attack):
    """Steps to the nearest linearized class boundary until the image is misclassified.

    Each step chooses the class k that minimizes |f_k - f_y| / ||w_k||_q, with f the logits, w_k
    the gradient of f_k - f_y and q the dual norm, and adds the smallest step from the iterate that
    reaches f_k = f_y on the linearized logits. An example is finished once its result, projected
    onto the ball, is misclassified. The attack searches for a small perturbation, not for a large
    loss.

    Args:
      threat: threat model. A result outside the ball is projected onto it and may then be
        classified correctly.
      steps: maximum number of steps, > 0.
      overshoot: the perturbation is multiplied by 1 + overshoot, >= 0.

    Source: Moosavi-Dezfooli et al. (2016), Algorithm 2 and section 3.2 for other norms.
    """

    compiles_itself = True
    steps: int = 50
    overshoot: float = 0.02

    def __post_init__(self) -> None:
        super().__post_init__()
        require_int("steps", self.steps)
        require_number("overshoot", self.overshoot, at_least=0)

    def run(self, classifier: Classifier, x: Tensor, labels: Tensor, seed: Tensor) -> Tensor:
        return loop.attempt(self, classifier, x, labels, (), seed)

    def init(
        self, classifier: Classifier, x: Tensor, labels: Tensor, start: tuple
    ) -> tuple[State, None]:
        return State(x, labels, tf.zeros_like(x)), None

    def schedule(self, x: Tensor, seed: Tensor) -> Iterator[tuple]:
        return itertools.repeat((), self.steps)

    def result(self, state: State) -> Tensor:
        delta = (1.0 + self.overshoot) * state.perturbation
        return self.threat.project(state.x + delta, state.x)

    def step(self, classifier: Classifier, state: State, settings: tuple) -> tuple[State, Found]:
        x, y, moved = state
        # Linearize at the result with overshoot, as in the authors' code: linearizing at x + moved
        # would make each further step cover the overshoot again.
        z = self.threat.clip_box(x + (1.0 + self.overshoot) * moved)
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch(z)
            logits = tf.cast(classifier(z, training=False), tf.float32)
            own = tf.gather(logits, y, axis=-1, batch_dims=1)
            gaps = logits - own[:, None]
            totals = [tf.reduce_sum(gaps[:, k]) for k in range(logits.shape[-1])]
        normals = tf.stack([gradient_of(tape, total, z) for total in totals], 1)  # [N, C, H, W, C']
        flat = tf.reshape(normals, [tf.shape(normals)[0], logits.shape[-1], -1])
        if self.threat.norm == "linf":
            weights = tf.reshape(tf.ones_like(x[:1]) * self.threat.weights, [-1])
            dual = tf.reduce_sum(tf.abs(flat) * weights, -1)
        else:
            dual = tf.sqrt(tf.reduce_sum(tf.square(flat), -1))
        true = tf.one_hot(y, logits.shape[-1], on_value=True, off_value=False, dtype=tf.bool)
        distance = tf.where(true, float("inf"), tf.abs(gaps) / (dual + TINY))
        nearest = tf.argmin(distance, 1, tf.int32)
        length = tf.gather(distance, nearest, axis=1, batch_dims=1)
        normal = tf.gather(normals, nearest, axis=1, batch_dims=1)
        # Slightly more than the distance, so that a linear boundary is crossed, not just reached.
        length = per_example(length * (1.0 + 1e-4) + 1e-6, x)
        state = State(x, y, moved + length * self.threat.steepest_step(normal))
        z = self.result(state)
        return state, Found(z, errors_at(classifier, z, y) > 0)
