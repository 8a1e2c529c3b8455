"""Adam that updates each variable by one fused kernel."""

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from mmtf.kernels.keras_internals import adam_slots
from mmtf.kernels.patching import patched


class Adam(keras.optimizers.Adam):
    """keras.optimizers.Adam that updates a variable by one kernel instead of a dozen.

    The update is that of Adam with bias correction (Kingma & Ba 2015), m <- m + (1 - b1)(g - m),
    v <- v + (1 - b2)(g^2 - v), u <- u - rate m / (sqrt(v) + epsilon) with both means corrected for
    their start, computed by TensorFlow's ResourceApplyAdam. Sparse gradients and AMSGrad, which
    that kernel does not support, use the update of Keras.

    Example:
      >>> weight, optimizer = keras.Variable([1.0, 2.0]), Adam(0.5)
      >>> optimizer.apply([tf.constant([1.0, 0.0])], [weight])
      >>> weight.numpy().round(4).tolist()
      [0.5, 2.0]
    """

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Updates one variable.

        Args:
          gradient: tensor of the variable's shape, or tf.IndexedSlices.
          variable: tf.Variable; under a tf.distribute strategy, the variable of one replica.
          learning_rate: scalar.
        """
        _update(self, gradient, variable, learning_rate)


@contextlib.contextmanager
def fused_adam(optimizer: Any) -> Iterator[None]:
    """Context manager: inside it Keras' Adam or AdamW updates as `Adam` does.

    A tf.function that is traced inside keeps the fused updates.

    Args:
      optimizer: a Keras optimizer, or a LossScaleOptimizer of one; others are not changed.

    Example:
      >>> weight, optimizer = keras.Variable([1.0, 2.0]), keras.optimizers.Adam(0.5)
      >>> with fused_adam(optimizer):
      ...     optimizer.apply([tf.constant([1.0, 0.0])], [weight])
      >>> weight.numpy().round(4).tolist()
      [0.5, 2.0]
    """
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    changes: list = []
    if type(optimizer) in (keras.optimizers.Adam, keras.optimizers.AdamW):
        changes.append((optimizer, "update_step", functools.partial(_update, optimizer)))
    with patched(changes):
        yield


def _update(optimizer, gradient, variable, learning_rate):
    if optimizer.amsgrad or isinstance(gradient, tf.IndexedSlices):
        keras.optimizers.Adam.update_step(optimizer, gradient, variable, learning_rate)
        return
    dtype = variable.dtype
    first_moment, second_moment = adam_slots(optimizer, variable)
    count = tf.cast(optimizer.iterations + 1, dtype)
    tf.raw_ops.ResourceApplyAdam(
        var=variable.handle,
        m=first_moment.value.handle,
        v=second_moment.value.handle,
        beta1_power=tf.pow(tf.cast(optimizer.beta_1, dtype), count),
        beta2_power=tf.pow(tf.cast(optimizer.beta_2, dtype), count),
        lr=tf.cast(learning_rate, dtype),
        beta1=tf.cast(optimizer.beta_1, dtype),
        beta2=tf.cast(optimizer.beta_2, dtype),
        epsilon=tf.cast(optimizer.epsilon, dtype),
        grad=tf.cast(gradient, dtype),
    )
