"""Options of training that are independent of the game."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from mmtf.data.dataset import Dataset
from mmtf.errors import (
    require,
    require_bool,
    require_choice,
    require_number,
    require_path,
    require_seed,
)
from mmtf.runtime import PRECISIONS
from mmtf.training.callbacks import Callbacks
from mmtf.training.progress import Progress

CHECKPOINT_SECONDS = 30.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """The options of `mmtf.train`.

    Attributes:
      seed: seed for the net's initial weights, the batches, dropout and random starts, in
        [0, 2^31).
      precision: of the training steps: `float32`, `bfloat16`, or `auto`: bfloat16 if the
        hardware and the model's layers support it, else float32. Evaluation is always in float32.
      strategy: a strategy of tf.distribute; None: all GPUs of this machine, or its CPU. With a
        strategy of several workers (processes, `mmtf.distributed.strategy.make_strategy`), all of
        them call `mmtf.train` with the same arguments.
      in_memory: whether the training images are kept in device memory; None: if they fit
        (`mmtf.data.Batches`).
      jit_compile: whether XLA compiles the steps; None: for a long run on a single GPU
        (`mmtf.runtime.devices.resolve_jit`).
      checkpoint_dir: folder where checkpoints are saved. If it has checkpoints of the same game,
        with the same given networks, schedule, seed, model, pixel range, data and weights of
        examples, training resumes from the newest. None: no checkpoints. With several workers, all
        read them, and only the chief writes them.
      checkpoint_seconds: time between two checkpoints in seconds, >= 0; the last step is always
        saved.
      events: `mmtf.training.callbacks.Callbacks`, or a function that makes them from the Trainer;
        None: none.
      progress: whether progress is shown on stderr; or the Progress that shows it.
      class_weight: class -> weight of its training examples, >= 0; other classes have weight 1.
      sample_weight: a weight >= 0 for each training example of the dataset, [N], multiplied by that
        of its class. As in Keras' `fit`, an example of weight k contributes to every mean over a
        batch of N examples what k copies would, divided by N; penalties of games included.
      extra_data: a Dataset, whose training split gives the share `Schedule.extra_share` of every
        batch; None: the one that `Schedule.extra_data` names, if any. Class weights hold for its
        examples, too.

    Raises:
      ConfigError: a seed out of range, or `events` of another type.
    """

    seed: int = 0
    precision: str = "auto"
    strategy: tf.distribute.Strategy | None = None
    in_memory: bool | None = None
    jit_compile: bool | None = None
    checkpoint_dir: str | None = None
    checkpoint_seconds: float = CHECKPOINT_SECONDS
    events: Callbacks | Callable[[Any], Callbacks] | None = None
    progress: bool | Progress = True
    class_weight: Mapping[int, float] | None = None
    sample_weight: Any = None
    extra_data: Dataset | None = None

    def __post_init__(self):
        require_seed(self.seed)
        require_choice("precision", self.precision, PRECISIONS)
        require_number("checkpoint_seconds", self.checkpoint_seconds, at_least=0)
        for name in ("in_memory", "jit_compile"):
            if getattr(self, name) is not None:
                require_bool(name, getattr(self, name))
        if self.checkpoint_dir is not None:
            require_path("checkpoint_dir", self.checkpoint_dir)
        extra = self.extra_data is None or isinstance(self.extra_data, Dataset)
        require(extra, "extra_data: an mmtf.Dataset", type(self.extra_data).__name__)
        strategy = self.strategy is None or isinstance(self.strategy, tf.distribute.Strategy)
        require(strategy, "strategy: a strategy of tf.distribute", self.strategy)
        shows = isinstance(self.progress, bool | Progress)
        require(shows, "progress: True, False or a Progress", self.progress)
        require(
            self.events is None or callable(self.events) or isinstance(self.events, Callbacks),
            "events: mmtf.training.callbacks.Callbacks, or a function from the Trainer to them "
            "(Keras' callbacks are for Model.fit)",
            type(self.events).__name__,
        )

    def callbacks(self, trainer: Any) -> Callbacks:
        """The Callbacks given by `events` for this trainer."""
        return self.events(trainer) if callable(self.events) else self.events or Callbacks()
