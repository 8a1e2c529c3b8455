"""The learning rate as a function of the optimizer's own step count."""

import math

import keras
import tensorflow as tf

from mmtf.config import Schedule


class Rate(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up to the peak, then constant or cosine down to 0 at the last step.

    Args:
      schedule: peak, warm-up and decay.
      steps: the step at which the cosine ends; `set_steps` changes it for a round of another
        length.
      scale: multiplies the rate.
      updates: of the optimizer in a step.
    """

    def __init__(self, schedule: Schedule, steps: int, scale: float = 1.0, updates: int = 1):
        self.schedule = schedule
        self.scale = scale
        self.updates = updates
        self._steps = tf.Variable(float(steps), trainable=False)

    def set_steps(self, steps: int) -> None:
        self._steps.assign(float(steps))

    def __call__(self, step):
        # The first step already moves: with step + 1 the warm-up's rate is never 0.
        step = tf.floor(tf.cast(step, tf.float32) / self.updates) + 1.0
        warmup = float(self.schedule.warmup_steps)
        rate = self.scale * self.schedule.learning_rate * tf.minimum(1.0, step / max(warmup, 1.0))
        if self.schedule.decay == "cosine":
            share = (step - 1.0 - warmup) / tf.maximum(self._steps - warmup, 1.0)
            rate *= 0.5 * (1.0 + tf.cos(math.pi * tf.clip_by_value(share, 0.0, 1.0)))
        return rate

    def get_config(self):
        given = {"schedule": self.schedule, "scale": self.scale, "updates": self.updates}
        return {**given, "steps": int(self._steps.numpy())}
