"""The selective white-box attack on a classifier that rejects images."""

import dataclasses
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import tensorflow as tf
from tensorflow import Tensor

from mmtf import losses
from mmtf.attacks import loop
from mmtf.attacks.base import Attack, Found
from mmtf.attacks.iterated import DECAYS, decay_factors
from mmtf.attacks.queries import gradient_of, inner, per_example, program, where_per_example
from mmtf.classifiers.classifier import Classifier
from mmtf.config import NORMS
from mmtf.errors import require_bool, require_choice, require_int, require_number
from mmtf.norms.l2 import steepest_step

# Length of the whole path, in l2 radii of the ball.
PATH = 5.0
# Squared length of what is left of a unit direction below which nothing is left: float32 rounding.
PARALLEL = 1e-6
# Distance below which a value is at its bound.
TOUCHING = 1e-5


class State(NamedTuple):
    """State of each example; tensors [N, ...].

    Attributes:
      z: the iterate.
      labels: the true labels.
      region: `ThreatModel.region` of the image.
      best_z: the accepted iterate of the largest margin; where none was accepted, the last iterate.
      best_margin: its margin, -inf where none was accepted.
    """

    z: Tensor
    labels: Tensor
    region: tuple
    best_z: Tensor
    best_margin: Tensor


@dataclasses.dataclass(eq=False, repr=False, kw_only=True)
class Selective(Attack):
    """Searches an image that is misclassified AND accepted, for any `Classifier.rejection`.

    Each step follows one of two gradients. While the image is classified correctly, or is accepted,
    it climbs the margin max_{i != y} z_i - z_y of the logits; of this gradient the part that raises
    the most violated rule is removed where this rule is within `band` of its threshold or above it.
    Where the image is misclassified but rejected, it descends the most violated rule, without the
    part that would lower the margin. Steps have a given l2 length and are projected to the ball and
    the box. The attack succeeds at the first iterate that is misclassified and accepted. Against a
    classifier that never rejects it is projected gradient ascent of the margin.

    A fixed sum of margin and detector penalty does not do this: its weight trades one goal for
    the other (Carlini & Wagner 2017).

    Args:
      threat: threat model.
      steps: number of steps, > 0.
      step_size: l2 length of the first step, > 0; None: the steps add up to 5 l2 radii of the ball,
        which for linf is eta sqrt(number of values).
      decay: decay of the step length: `constant`, `linear` or `cosine`.
      band: how near to its threshold, relative to it, a rule counts as near, >= 0.
      clearance: how far below their thresholds, relative to them, all rules must be for an iterate
        to count as accepted, in [0, 1); > 0 for attacks that are to pass other detectors as well.
      stop_early: True: return each example's first success, and drop the example from the batch.
        False: take all steps and return the accepted iterate of the largest margin, for transfer.

    Raises:
      ConfigError: an argument out of range.

    Source: the selective and the orthogonal projected gradient descent of Bryniarski et al. (2022).
    """

    norms = NORMS
    compiles_itself = True
    steps: int = 300
    step_size: float | None = None
    decay: str = "linear"
    band: float = 0.1
    clearance: float = 0.0
    stop_early: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        require_int("steps", self.steps)
        if self.step_size is not None:
            require_number("step_size", self.step_size, above=0)
        require_choice("decay", self.decay, DECAYS)
        require_number("band", self.band, at_least=0)
        require_number("clearance", self.clearance, at_least=0, below=1)
        require_bool("stop_early", self.stop_early)
        self.keeps_successful = self.stop_early

    def run(self, classifier: Classifier, x: Tensor, labels: Tensor, seed: Tensor) -> Tensor:
        return loop.attempt(self, classifier, x, labels, x, seed)

    def succeeds(self, classifier: Classifier, z: Tensor, labels: Tensor) -> Tensor:
        """bool [N]: misclassified and accepted."""
        won = program(classifier, (self.key(), "succeeds"), self._won)
        return won(z, labels)

    def init(
        self, classifier: Classifier, x: Tensor, labels: Any, start: Any
    ) -> tuple[State, None]:
        lowest = tf.fill(tf.shape(labels), tf.constant(-math.inf, x.dtype))
        return State(start, labels, self.threat.region(x), start, lowest), None

    def schedule(self, x: Tensor, seed: Tensor) -> Iterator[Tensor]:
        factors = decay_factors(self.decay, self.steps)
        first = self.step_size
        if first is None:
            values = x.shape[1:].num_elements() if self.threat.norm == "linf" else 1
            first = PATH * self.threat.radius * math.sqrt(values) / sum(factors)
        # Tensors, because a compiled step would be traced again for each Python number.
        return (tf.constant(first * factor, x.dtype) for factor in factors)

    def step(
        self, classifier: Classifier, state: State, settings: Tensor
    ) -> tuple[State, Found | None]:
        z, labels = state.z, state.labels
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch(z)
            logits = classifier(z, training=False)
            rules = tf.cast(classifier.rejection(z), z.dtype)
            margin = tf.cast(losses.margin(logits, labels), z.dtype)
            # Without any rule nothing is violated, by far.
            none = tf.fill([tf.shape(z)[0], 1], tf.constant(-1e9, z.dtype))
            violated = tf.reduce_max(tf.concat([rules, none], -1), -1) + self.clearance
            sums = tf.reduce_sum(margin), tf.reduce_sum(violated)
        climb, rise = (gradient_of(tape, one, z) for one in sums)
        wrong = losses.errors(logits, labels) > 0
        accepted = tf.reduce_all(rules <= -self.clearance, -1)
        ahead = self._direction(state, climb, rise, violated, wrong & ~accepted)
        better = accepted & (margin > state.best_margin)
        kept = better | tf.math.is_inf(state.best_margin)
        after = state._replace(
            z=self.threat.into(z + settings * ahead, state.region),
            best_z=where_per_example(kept, z, state.best_z),
            best_margin=tf.where(better, margin, state.best_margin),
        )
        return after, Found(z, wrong & accepted) if self.stop_early else None

    def result(self, state: State) -> Tensor:
        return state.z if self.stop_early else state.best_z

    def passes(self, classes: int) -> float:
        # Two gradients of one forward pass of the classifier; the rules cost less than it.
        return 5.0 * self.steps

    def _won(self, classifier, z, labels):
        accepted = tf.reduce_all(classifier.rejection(z) <= -self.clearance, -1)
        return (losses.errors(classifier(z, training=False), labels) > 0) & accepted

    def _direction(self, state, climb, rise, violated, hide):
        """The unit direction of the step; `hide`: bool [N], where the violated rule descends."""
        upward, downward = (steepest_step(self._free(one, state)) for one in (climb, -rise))
        conflict = tf.minimum(inner(upward, downward), 0.0)
        # By how much one is turned off the other, where they are opposed.
        near = tf.where(violated > -self.band, conflict, 0.0)
        along = _turned(upward, downward, near)
        below = _turned(downward, upward, conflict)
        return steepest_step(where_per_example(hide, below, along))

    def _free(self, gradient, state):
        """The gradient without the values that are at a bound and would leave it."""
        bounds = state.region if self.threat.norm == "linf" else self.threat.box
        low, high = bounds
        # Projections to l2 and l1 balls reach a bound up to rounding.
        at_low, at_high = state.z <= low + TOUCHING, state.z >= high - TOUCHING
        blocked = (at_low & (gradient < 0)) | (at_high & (gradient > 0))
        return tf.where(blocked, tf.zeros_like(gradient), gradient)


def _turned(direction, other, product):
    """A unit direction without its part along the unit direction `other`, unless this is all."""
    turned = direction - per_example(product, other) * other
    return where_per_example(inner(turned, turned) > PARALLEL, turned, direction)
