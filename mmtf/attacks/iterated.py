"""Projected gradient ascent: IFGSM and PGD."""

import dataclasses
import math
from collections.abc import Hashable, Iterator
from typing import ClassVar, NamedTuple, cast

import tensorflow as tf
from tensorflow import Tensor

from mmtf import losses
from mmtf.attacks import loop
from mmtf.attacks.base import Attack, Found
from mmtf.attacks.criteria import TargetableAttack, require_restarts
from mmtf.attacks.queries import input_gradient
from mmtf.classifiers.classifier import Classifier
from mmtf.config import NORMS
from mmtf.errors import require_choice, require_int, require_number

# Name -> step size of iteration k of K relative to the first one, as a function of k / K in [0, 1).
# With a constant step size, iterates end up oscillating about the maximum by one step.
DECAYS = {
    "constant": lambda share: 1.0,
    "linear": lambda share: 1.0 - share,
    "cosine": lambda share: (1.0 + math.cos(math.pi * share)) / 2.0,
}


def decay_factors(decay: str, steps: int) -> list[float]:
    """The size of each step relative to the first; all are > 0.

    Args:
      decay: a name in DECAYS.
      steps: number of steps, > 0.

    Example:
      >>> decay_factors("linear", 4)
      [1.0, 0.75, 0.5, 0.25]
    """
    return [DECAYS[decay](step / steps) for step in range(steps)]


# Attributes that the loop uses and the step does not, and the loss: IFGSM's is its class's.
OF_LOOP = ("steps", "step_size", "decay", "restarts", "compiles_itself", "deterministic", "loss")


class State(NamedTuple):
    """Iterate, label (or target), and `ThreatModel.region` of the image; tensors [N, ...]."""

    z: Tensor
    labels: Tensor
    region: tuple


@dataclasses.dataclass(eq=False, repr=False, kw_only=True)
class IteratedAttack(TargetableAttack):
    """Repeats z <- project(z + step_size * steepest(grad_z l)), starting at the clean image.

    In l1 a step changes several pixels, see `ThreatModel.stepped`.

    Args:
      threat: threat model.
      steps: number of steps, > 0.
      step_size: size of the first step, > 0; None: the steps add up to 2.5 eta (Madry et al.
        2018), enough to cross the ball and return. With a constant step size each is
        2.5 eta / steps.
      decay: decay of the step size: `constant`, or `linear` or `cosine` towards 0.
      loss: loss to maximize: `cross_entropy` (the risk), `margin` (Carlini & Wagner 2017; its
        gradient does not vanish where the classifier is confident) or `dlr`.
      stop_early: True: return each example's first successful iterate and, when run eagerly, drop
        the example from the batch. False: return the last iterate of every example, as training
        does.
      target: target class, see `mmtf.attacks.criteria.Criterion`; None: untargeted.

    Raises:
      ConfigError: an argument is outside its range, or decay, loss or target is unknown.
    """

    norms: ClassVar[tuple[str, ...]] = NORMS
    keeps_successful = False  # IFGSM evaluates the clean image as its first iterate; PGD does not
    steps: int
    step_size: float | None = None
    decay: str = "constant"
    loss: str = "cross_entropy"
    stop_early: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        require_int("steps", self.steps)
        require_choice("decay", self.decay, DECAYS)
        require_choice("loss", self.loss, losses.LOSSES)
        if self.step_size is None:
            self.step_size = 2.5 * self.threat.radius / sum(decay_factors(self.decay, self.steps))
        require_number("step_size", self.step_size, above=0)
        self.compiles_itself = self.stop_early

    def step_sizes(self) -> list[float]:
        """The size of each step."""
        first = cast(float, self.step_size)
        return [first * factor for factor in decay_factors(self.decay, self.steps)]

    def init(
        self, classifier: Classifier, x: Tensor, labels: Tensor, start: Tensor
    ) -> tuple[State, None]:
        return State(start, labels, self.threat.region(x)), None

    def step_key(self) -> Hashable:
        """IFGSM and PGD of any number of steps and restarts share one compiled step."""
        own = type(self)
        if own.step is not IteratedAttack.step or own.lean_step is not Attack.lean_step:
            return self.key()
        _, attributes = cast(tuple, self.key())
        used = tuple((name, value) for name, value in attributes if name not in OF_LOOP)
        return IteratedAttack, own.maximized, self.loss, used

    def schedule(self, x: Tensor, seed: Tensor) -> Iterator[Tensor]:
        # Tensors, because a compiled step would be traced again for each Python number.
        return (tf.constant(size, x.dtype) for size in self.step_sizes())

    def step(
        self, classifier: Classifier, state: State, settings: Tensor
    ) -> tuple[State, Found | None]:
        z, labels, region = state
        logits, gradient = input_gradient(classifier, z, labels, self.maximized)
        after = self.threat.into(self.threat.stepped(z, gradient, settings), region)
        found = Found(z, self.criterion.reached(logits, labels)) if self.stop_early else None
        return State(after, labels, region), found


@dataclasses.dataclass(eq=False, repr=False, kw_only=True)
class IFGSM(IteratedAttack):
    """The iterative fast gradient sign method: FGSM in `steps` small steps (Kurakin et al. 2017).

    Args:
      threat: threat model with norm linf.
      steps: number of steps, > 0.
      step_size, decay, stop_early, target: see `IteratedAttack`.
    """

    norms = ("linf",)
    steps: int = 10
    loss: str = dataclasses.field(default="cross_entropy", init=False)


@dataclasses.dataclass(eq=False, repr=False, kw_only=True)
class PGD(IteratedAttack):
    """Projected gradient descent on the negative loss from random starts (Madry et al. 2018).

    The clean image is not among the iterates; `worst` of mmtf.evaluation also counts the clean
    image.

    Args:
      threat: threat model.
      steps: steps of each restart, > 0.
      step_size, decay, loss, target: see `IteratedAttack`.
      restarts: number of random starts, > 0; each after the first runs only on examples not yet
        successfully attacked. Inside a tf.function it must be 1.
      stop_early: see `IteratedAttack`; must be True if restarts > 1.

    Raises:
      ConfigError: see `IteratedAttack`; or restarts <= 0, or restarts > 1 without stop_early.

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
        # The draw depends on the position among the remaining examples.
        return self.start(loop.rows_of(x, rows), seed)
