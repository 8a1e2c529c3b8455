"""The learning rate as a function of the optimizer's own step count."""

import math
from typing import Any

import keras
import tensorflow as tf

from mmtf.config import Schedule


class WarmupCosine(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up to the peak rate, then constant or a cosine to 0 one step after the last.

    Args:
      schedule: peak rate, steps of warm-up, and decay (`constant` or `cosine`).
      steps: number of steps at which the cosine reaches 0; `set_steps` changes it if rounds differ
        in length.
      scale: multiplies the rate.
      updates: how often the optimizer is applied in one training step, >= 1.

    Example:
      >>> schedule = Schedule(steps=8, learning_rate=0.1, warmup_steps=2, decay="cosine")
      >>> rate = WarmupCosine(schedule, steps=8)
      >>> [round(float(rate(step)), 3) for step in (0, 1, 2, 5, 8)]
      [0.05, 0.1, 0.1, 0.05, 0.0]
    """

    def __init__(self, schedule: Schedule, steps: int, scale: float = 1.0, updates: int = 1):
        self.schedule = schedule
        self.scale = scale
        self.updates = updates
        self._steps = tf.Variable(float(steps), trainable=False)
        self._factor: tf.Variable | None = None

    def set_steps(self, steps: int) -> None:
        """Changes the step at which the cosine reaches 0."""
        self._steps.assign(float(steps))

    def multiply(self, factor: tf.Variable) -> None:
        """Multiplies the rate by a variable as well, from the next traced step on."""
        self._factor = factor

    def __call__(self, step: Any) -> tf.Tensor:
        """The rate of the optimizer's update number `step` = 0, 1, ...; a float32 scalar."""
        # Counted from 1, so that the rate of the first warm-up step is not 0.
        step = tf.floor(tf.cast(step, tf.float32) / self.updates) + 1.0
        warmup = float(self.schedule.warmup_steps)
        rate = self.scale * self.schedule.learning_rate * tf.minimum(1.0, step / max(warmup, 1.0))
        if self.schedule.decay == "cosine":
            share = (step - 1.0 - warmup) / tf.maximum(self._steps - warmup, 1.0)
            rate *= 0.5 * (1.0 + tf.cos(math.pi * tf.clip_by_value(share, 0.0, 1.0)))
        return rate if self._factor is None else rate * self._factor

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        given = {"schedule": self.schedule, "scale": self.scale, "updates": self.updates}
        return {**given, "steps": int(self._steps.numpy())}
