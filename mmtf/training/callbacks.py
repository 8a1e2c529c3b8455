"""Callbacks of the training loop."""

import dataclasses
from collections.abc import Callable

from mmtf.errors import require_int


@dataclasses.dataclass
class Callbacks:
    """Functions that the training loop calls between steps; each is optional.

    Attributes:
      on_metrics: on_metrics(step, metrics), after every compiled call, which takes many steps.
      on_evaluation: on_evaluation(step), at step 0, every `evaluate_every` steps and at the end.
      evaluate_every: number of steps between two evaluations, > 0.
      on_round_end: on_round_end(number), after the last step of a round.
    """

    on_metrics: Callable[[int, dict[str, float]], None] | None = None
    on_evaluation: Callable[[int], None] | None = None
    evaluate_every: int = 1_000_000_000
    on_round_end: Callable[[int], None] | None = None

    def __post_init__(self) -> None:
        require_int("evaluate_every", self.evaluate_every)
