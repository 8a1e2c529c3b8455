"""Projected gradient ascent: IFGSM and PGD."""

import dataclasses
import math
from collections.abc import Iterator
from typing import NamedTuple, cast

import tensorflow as tf
from tensorflow import Tensor

from mmtf import losses
from mmtf.attacks import loop
from mmtf.attacks.base import Found, input_gradient
from mmtf.attacks.criteria import TargetableAttack, require_restarts
from mmtf.classifiers.classifier import Classifier
from mmtf.errors import require, require_choice

# Name -> the step size of iteration k of K over the first one, as a function of k / K in [0, 1).
# With a constant step size an iterate ends up swinging about the maximum by the length of a step.
DECAYS = {
    "constant": lambda share: 1.0,
    "linear": lambda share: 1.0 - share,
    "cosine": lambda share: (1.0 + math.cos(math.pi * share)) / 2.0,
}


def decay_factors(decay: str, steps: int) -> list[float]:
    """Each of `steps` step sizes over the first; the first is 1, none is 0.

    Args:
      decay: name in DECAYS.
      steps: > 0.

    Example:
      >>> decay_factors("linear", 4)
      [1.0, 0.75, 0.5, 0.25]
    """
    return [DECAYS[decay](step / steps) for step in range(steps)]


class State(NamedTuple):
    """Of every example: the iterate, the label and the region of the threat model."""

    z: Tensor
    labels: Tensor
    region: tuple


@dataclasses.dataclass(eq=False, repr=False, kw_only=True)
class IteratedAttack(TargetableAttack):
    """z <- project(z + step_size * steepest(grad_z l)), `steps` times, from the clean image.

    Args:
      threat: the ball and the box.
      steps: > 0.
      step_size: of the first step, > 0; by default all steps together are 2.5 eta (Madry et al.
        2018), which lets an example cross the ball and come back: 2.5 eta / steps each where the
        step size is constant.
      decay: of the step size: `constant`, `linear` or `cosine` towards 0.
      loss: what is maximized: `cross_entropy` (the risk), `margin` (Carlini & Wagner 2017; its
        gradient does not vanish where the classifier is confident) or `dlr`.
      stop_early: return each example's first successful iterate and, run eagerly, drop the example
        from the batch; else return the last iterate of every example, as training does.
      target: see `mmtf.attacks.criteria.Criterion`; None: untargeted.

    Raises:
      ConfigError: steps, step size, decay, loss or target are none of these.
    """

    keeps_successful = False  # the clean image is no iterate, or the first one
    steps: int
    step_size: float | None = None
    decay: str = "constant"
    loss: str = "cross_entropy"
    stop_early: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.steps > 0, "steps > 0", self.steps)
        require_choice("decay", self.decay, DECAYS)
        require_choice("loss", self.loss, losses.LOSSES)
        if self.step_size is None:
            self.step_size = 2.5 * self.threat.eta / sum(decay_factors(self.decay, self.steps))
        require(self.step_size > 0, "step_size > 0", self.step_size)
        self.compiles_itself = self.stop_early

    def step_sizes(self) -> list[float]:
        """The step size of every step."""
        first = cast(float, self.step_size)
        return [first * factor for factor in decay_factors(self.decay, self.steps)]

    def init(
        self, classifier: Classifier, x: Tensor, labels: Tensor, start: Tensor
    ) -> tuple[State, None]:
        return State(start, labels, self.threat.region(x)), None

    def schedule(self, x: Tensor, seed: Tensor) -> Iterator[Tensor]:
        # Tensors: a compiled step would be traced anew for each Python number.
        return (tf.constant(size, x.dtype) for size in self.step_sizes())

    def step(
        self, classifier: Classifier, state: State, settings: Tensor
    ) -> tuple[State, Found | None]:
        z, labels, region = state
        logits, gradient = input_gradient(classifier, z, labels, self.maximized)
        after = self.threat.into(z + settings * self.threat.steepest_step(gradient), region)
        found = Found(z, self.criterion.reached(logits, labels)) if self.stop_early else None
        return State(after, labels, region), found


@dataclasses.dataclass(eq=False, repr=False, kw_only=True)
class IFGSM(IteratedAttack):
    """The iterative fast gradient sign method: FGSM in `steps` small steps (Kurakin et al. 2017).

    Args:
      threat: the ball and the box; l-infinity.
      steps: > 0.
      step_size, decay, stop_early, target: see `IteratedAttack`.
    """

    norms = ("linf",)
    steps: int = 10
    loss: str = dataclasses.field(default="cross_entropy", init=False)


@dataclasses.dataclass(eq=False, repr=False, kw_only=True)
class PGD(IteratedAttack):
    """Projected gradient descent on the negative loss from random starts (Madry et al. 2018).

    The image itself is not among the iterates; `worst` of mmtf.evaluation counts it.

    Args:
      threat: the ball and the box.
      steps: of each restart, > 0.
      step_size, decay, loss, target: see `IteratedAttack`.
      restarts: number of random starts, > 0. Run eagerly, a later one is spent only on examples
        not yet successfully attacked. In a graph it must be 1.
      stop_early: see `IteratedAttack`; restarts > 1 need it.

    Raises:
      ConfigError: as `IteratedAttack`, or impossible restarts.

    Example:
      >>> from mmtf.threat import ThreatModel
      >>> linear = lambda x, training: tf.concat([x, -x], 1)
      >>> attack = PGD(ThreatModel(eta=0.3), steps=5, stop_early=False)
      >>> print(attack(linear, tf.constant([[0.5]]), tf.constant([0])).numpy().round(1))
      [[0.2]]
    """

    deterministic = False
    steps: int = 40
    restarts: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        require_restarts(self.restarts, self.stop_early)

    def start(self, x: Tensor, seed: Tensor) -> Tensor:
        return self.threat.random_start(x, seed)

    def starts(self, x: Tensor, rows: Tensor | None, seed: Tensor) -> Tensor:
        # Drawn by the place among the examples that remain.
        return self.start(loop.rows_of(x, rows), seed)
