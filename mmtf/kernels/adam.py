"""Adam that updates each variable by one fused kernel."""

from typing import Any

import keras
import tensorflow as tf

from mmtf.kernels.keras_internals import adam_slots


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
        if self.amsgrad or isinstance(gradient, tf.IndexedSlices):
            super().update_step(gradient, variable, learning_rate)
            return
        dtype = variable.dtype
        first_moment, second_moment = adam_slots(self, variable)
        count = tf.cast(self.iterations + 1, dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=first_moment.value.handle,
            v=second_moment.value.handle,
            beta1_power=tf.pow(tf.cast(self.beta_1, dtype), count),
            beta2_power=tf.pow(tf.cast(self.beta_2, dtype), count),
            lr=tf.cast(learning_rate, dtype),
            beta1=tf.cast(self.beta_1, dtype),
            beta2=tf.cast(self.beta_2, dtype),
            epsilon=tf.cast(self.epsilon, dtype),
            grad=tf.cast(gradient, dtype),
        )
