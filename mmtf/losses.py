"""Per-example losses of logits [N, C] and labels int [N]; results are [N].

They are computed in float32, or in float64 where the logits are: never in half precision.
"""

import tensorflow as tf


def cross_entropy(logits, labels):
    """-log softmax(logits)[label], the l of Eq. 2.

    Example:
      >>> float(cross_entropy(tf.zeros([1, 4]), tf.constant([2]))[0])  # log 4
      1.3862943649291992
    """
    logits = _full_precision(logits)
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)


def margin(logits, labels):
    """max over wrong classes of the logit, minus the true class's: > 0 where misclassified.

    Carlini & Wagner (2017), f_6 without its floor.
    """
    logits = _full_precision(logits)
    true = tf.one_hot(labels, tf.shape(logits)[-1], on_value=True, off_value=False, dtype=tf.bool)
    wrong = tf.reduce_max(tf.where(true, logits.dtype.min, logits), -1)
    return wrong - tf.gather(logits, labels, axis=-1, batch_dims=1)


def errors(logits, labels):
    """1 where the largest logit is not the label's, else 0. NaN logits count as errors."""
    wrong = tf.argmax(logits, -1, tf.int32) != tf.cast(labels, tf.int32)
    broken = tf.reduce_any(tf.math.is_nan(logits), -1)
    return tf.cast(wrong | broken, tf.float32)


def _full_precision(logits):
    return logits if logits.dtype == tf.float64 else tf.cast(logits, tf.float32)
