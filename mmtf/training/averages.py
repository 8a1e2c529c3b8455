"""A moving average of the classifier's weights."""

import contextlib
from collections.abc import Iterator, Sequence

import keras
import tensorflow as tf


class Averages:
    """Moving averages a <- d a + (1 - d) w of weights w, as of a Keras optimizer with `use_ema`.

    The first update sets a = w. Only trained weights are averaged: moving statistics of
    BatchNormalization layers, averages already, stay those of the training, as in Keras
    (`SwapEMAWeights`). An optimizer's own average would miss the solvers of network games, which
    move weights forth and back within a step.

    Args:
      variables: the trained weights; under a strategy, make the object inside its scope.
      decay: d in [0, 1).

    Attributes:
      values: the averages, one for each variable.

    Example:
      >>> weight = keras.Variable([2.0])
      >>> averages = Averages([weight], 0.75)
      >>> for value in (4.0, 8.0):
      ...     _ = weight.assign([value])
      ...     _ = averages.update(first=tf.constant(value == 4.0))
      >>> averages.values[0].numpy().tolist()  # 0.75 * 4 + 0.25 * 8
      [5.0]
    """

    def __init__(self, variables: Sequence[keras.Variable], decay: float):
        self._variables, self._decay = list(variables), decay
        self._extended = tf.distribute.get_strategy().extended
        self.values = [tf.Variable(tf.convert_to_tensor(one), trainable=False) for one in variables]

    def update(self, first: tf.Tensor) -> None:
        """Takes the present weights in; outside of replicas, after a step of all of them.

        Args:
          first: whether the average starts with these weights, bool scalar.
        """
        # Each device updates its own copy, without communication.
        for average, variable in zip(self.values, self._variables, strict=True):
            given = (variable.value, first)
            self._extended.update(average, self._updated, args=given, group=True)

    def _updated(self, average, weight, first):
        keep = tf.where(first, 0.0, tf.constant(self._decay, average.dtype))
        return average.assign(keep * average + (1.0 - keep) * weight)

    def store(self) -> None:
        """Puts the averages into the model, for good."""
        for average, variable in zip(self.values, self._variables, strict=True):
            variable.assign(tf.convert_to_tensor(average))

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """Context manager: inside it, the model has the averages in place of its weights."""
        before = [tf.convert_to_tensor(one) for one in self._variables]
        before = [tf.identity(one) for one in before]
        self.store()
        try:
            yield
        finally:
            for variable, value in zip(self._variables, before, strict=True):
                variable.assign(value)
