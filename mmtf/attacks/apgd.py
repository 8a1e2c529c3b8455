"""Auto-PGD: projected gradient ascent with adaptive step sizes (Croce & Hein 2020a)."""

import dataclasses
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import tensorflow as tf
from tensorflow import Tensor

from mmtf import losses
from mmtf.attacks import loop
from mmtf.attacks.base import Found
from mmtf.attacks.criteria import (
    TargetableAttack,
    count_classes,
    require_restarts,
    wrong_classes_fn,
)
from mmtf.attacks.queries import gradient_of, margin_fn, per_example, program, where_per_example
from mmtf.classifiers.classifier import Classifier
from mmtf.errors import require_choice, require_int, require_number
from mmtf.threat import ThreatModel

# Phases between checkpoints, as shares of all steps: the length of the first phase, by how much
# each later phase is shorter, and the minimum length.
FIRST, SHORTER, SHORTEST = 0.22, 0.03, 0.06
MOMENTUM = 0.75


def checkpoints(steps: int) -> list[int]:
    """The steps after which the step size may be halved.

    The first phase takes 22 % of the steps; each later one is shorter by 3 % of them, and none is
    shorter than 6 %.

    Args:
      steps: number of steps, > 0.

    Returns:
      Step numbers in ascending order, counted from 1.

    Example:
      >>> checkpoints(100)[:4]
      [22, 41, 57, 70]
    """
    length, last, at = max(int(FIRST * steps), 1), 0, []
    while last + length <= steps:
        last += length
        at.append(last)
        length = max(length - max(int(SHORTER * steps), 1), max(int(SHORTEST * steps), 1))
    return at


class State(NamedTuple):
    """State of each example; tensors [N, ...].

    Attributes:
      x: the clean image.
      labels: the arguments of the loss after the logits.
      z: the iterate.
      previous: the iterate before it.
      loss: the loss at `z`.
      gradient: its gradient at `z`.
      best_z, best_loss, best_gradient: the iterate of the largest loss so far.
      size: the step size.
      rises: how many steps since the last checkpoint raised the loss.
      loss_before: `best_loss` at the last checkpoint.
      halved: whether the last checkpoint halved the step size.
    """

    x: Tensor
    labels: tuple[Tensor, ...]
    z: Tensor
    previous: Tensor
    loss: Tensor
    gradient: Tensor
    best_z: Tensor
    best_loss: Tensor
    best_gradient: Tensor
    size: Tensor
    rises: Tensor
    loss_before: Tensor
    halved: Tensor


@dataclasses.dataclass(eq=False, repr=False, kw_only=True)
class APGD(TargetableAttack):
    """Maximizes the loss by projected gradient ascent with momentum and adaptive step sizes.

    The step size starts at 2 eta. At each checkpoint it is halved, and the iterate returns to the
    best point so far, for every example whose loss rose in fewer than a share `rho` of the steps
    since the last checkpoint, or whose step size was not halved there and whose best loss has not
    improved since.

    Args:
      threat: threat model.
      steps: steps of each restart, > 0.
      loss: loss to maximize: `cross_entropy`, `margin` or `dlr` (`mmtf.losses`).
      restarts: number of random starts, > 0; each after the first runs only on the examples not
        yet successfully attacked. Inside a tf.function it must be 1.
      rho: minimum share of steps that must raise the loss, in (0, 1).
      stop_early: True: return each example's first successful iterate and drop the example from
        the batch. False: return the iterate with the largest loss; use it for transfer attacks
        and for randomized defenses.
      target: target class, see `mmtf.attacks.criteria.Criterion`; None: untargeted. With a target,
        `dlr` is `losses.dlr_to_target`. `APGDTargeted` uses Eq. 7 of Croce & Hein instead, which
        compares the target with the true class only.

    Raises:
      ConfigError: an argument is outside its range.

    Source: Croce & Hein (2020a), Algorithm 1.
    """

    deterministic = False
    compiles_itself = True
    steps: int = 100
    loss: str = "cross_entropy"
    restarts: int = 1
    rho: float = 0.75
    stop_early: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        require_int("steps", self.steps)
        require_choice("loss", self.loss, losses.LOSSES)
        require_restarts(self.restarts, self.stop_early)
        require_number("rho", self.rho, above=0, below=1)
        self.keeps_successful = self.stop_early

    def start(self, x: Tensor, seed: Tensor) -> Tensor:
        return self.threat.random_start(x, seed)

    def init(
        self, classifier: Classifier, x: Tensor, labels: Tensor, start: Tensor
    ) -> tuple[State, Found | None]:
        return self._first(classifier, x, (labels,), start)

    def _first(self, classifier, x, labels, z):
        evaluate = program(classifier, (self.key(), "evaluate"), self._evaluate)
        loss, gradient, success = evaluate(z, labels)
        zeros = tf.zeros_like(loss)
        state = State(
            x=x,
            labels=labels,
            z=z,
            previous=z,
            loss=loss,
            gradient=gradient,
            best_z=z,
            best_loss=loss,
            best_gradient=gradient,
            size=zeros + 2.0 * self.threat.radius,
            rises=zeros,
            loss_before=loss,
            halved=tf.ones_like(loss, tf.bool),
        )
        return state, self._found(z, success)

    def schedule(self, x: Tensor, seed: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Yields the settings of each step.

        Yields:
          weight: share of the gradient step, in (0, 1]; the rest is momentum.
          length: steps since the last checkpoint if this step ends in one, else 0.
        """
        last, at = 0, checkpoints(self.steps)
        for step in range(1, self.steps + 1):
            length = step - last if step in at else 0
            last += length
            yield tf.constant(1.0 if step == 1 else MOMENTUM), tf.constant(float(length))

    def step(
        self, classifier: Classifier, state: State, settings: tuple
    ) -> tuple[State, Found | None]:
        weight, length = settings
        project = self.threat.project
        size = per_example(state.size, state.z)
        ahead = project(state.z + size * self.threat.steepest_step(state.gradient), state.x)
        z = state.z + weight * (ahead - state.z) + (1.0 - weight) * (state.z - state.previous)
        z = project(z, state.x)
        loss, gradient, success = self._evaluate(classifier, z, state.labels)
        better = loss > state.best_loss
        after = state._replace(
            z=z,
            previous=state.z,
            loss=loss,
            gradient=gradient,
            best_z=where_per_example(better, z, state.best_z),
            best_loss=tf.maximum(loss, state.best_loss),
            best_gradient=where_per_example(better, gradient, state.best_gradient),
            rises=state.rises + tf.cast(loss > state.loss, tf.float32),
        )
        return self._review(after, length), self._found(z, success)

    def result(self, state: State) -> Tensor:
        return state.best_z

    def _review(self, state, length):
        """At a checkpoint (`length` > 0) halves the step size of examples whose progress stalls."""
        if tf.get_static_value(length) == 0.0:  # in a graph of all steps
            return state
        ends = length > 0.0
        few = state.rises < self.rho * length
        stuck = ~state.halved & (state.best_loss <= state.loss_before)
        halve = ends & (few | stuck)
        return state._replace(
            size=tf.where(halve, state.size / 2.0, state.size),
            z=where_per_example(halve, state.best_z, state.z),
            gradient=where_per_example(halve, state.best_gradient, state.gradient),
            loss=tf.where(halve, state.best_loss, state.loss),
            halved=tf.where(ends, halve, state.halved),
            loss_before=tf.where(ends, state.best_loss, state.loss_before),
            rises=tf.where(ends, 0.0, state.rises),
        )

    def _evaluate(self, classifier, z, labels):
        """Returns (loss [N], its gradient with respect to z, success as bool [N])."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(z)
            logits = classifier(z, training=False)
            loss = self.maximized(logits, *labels)
            total = tf.reduce_sum(loss)
        success = self.criterion.reached(logits, labels[0])
        return loss, gradient_of(tape, total, z), success

    def _found(self, z, success):
        return Found(z, success) if self.stop_early else None


class APGDTargeted(APGD):
    """APGD on the targeted DLR loss, one target class after the other (APGD-T).

    The targets are the wrong classes with the largest logits at the clean image.

    Args:
      threat: threat model.
      steps: steps for each target, > 0.
      targets: number of target classes, > 0; capped at the number of wrong classes. AutoAttack
        uses 9.
      rho: see `APGD`.
      stop_early: True: as of `APGD`; each target runs on the examples not yet successfully
        attacked. False: all targets run on all examples; return the image of the largest margin.

    Source: Croce & Hein (2020a), section 4.
    """

    def __init__(
        self,
        threat: ThreatModel,
        *,
        steps: int = 100,
        targets: int = 9,
        rho: float = 0.75,
        stop_early: bool = True,
    ):
        super().__init__(threat, steps=steps, rho=rho, stop_early=stop_early)
        require_int("targets", targets)
        self.targets = targets

    def supports(self, classifier: Any, x: Any) -> None:
        losses.require_classes(
            lambda logits, labels: losses.targeted_dlr(logits, labels, labels),
            count_classes(classifier, x),
        )

    def run(self, classifier: Classifier, x: Tensor, labels: Tensor, seed: Tensor) -> Tensor:
        order = wrong_classes_fn(classifier)(x, labels)

        def start(number, rows):
            points = self.starts(x, rows, loop.restart_seed(seed, number))
            return points, loop.rows_of(order[:, number], rows)

        count = min(self.targets, order.shape[1])
        if self.stop_early:
            return loop.restarted(self, classifier, x, labels, seed, count, start)
        # The losses of two targets are not of one measure: the margin compares their images.
        margin = margin_fn(classifier)
        z, most = x, tf.fill(tf.shape(labels), -math.inf)
        for number in range(count):
            own, points = loop.restart_seed(seed, number), start(number, None)
            found = loop.attempt(self, classifier, x, labels, points, own, attempts=(number, count))
            reached = tf.cast(margin(found, labels), most.dtype)
            z = where_per_example(reached > most, found, z)
            most = tf.maximum(reached, most)
        return z

    def init(
        self, classifier: Classifier, x: Tensor, labels: Tensor, start: tuple
    ) -> tuple[State, Found | None]:
        z, targets = start
        return self._first(classifier, x, (labels, targets), z)

    def passes(self, classes: int) -> float:
        return super().passes(classes) * min(self.targets, classes - 1)

    def maximized(self, logits: Tensor, *labels: Tensor) -> Tensor:
        """Targeted DLR loss [N]; `labels` are the true labels and the targets."""
        return losses.targeted_dlr(logits, *labels)
