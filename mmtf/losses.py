"""Per-example losses of logits [N, C] and labels int [N]; results are [N].

They are computed in float32, or in float64 where the logits are: never in half precision.
"""

from collections.abc import Callable

import tensorflow as tf

from mmtf.errors import ConfigError

Loss = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
# Below the scale of float32 logits: equal top logits give 0 / 1e-12 = 0, not NaN.
TINY = 1e-12


def cross_entropy(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """-log softmax(logits)[label], the l of Eq. 2.

    Example:
      >>> float(cross_entropy(tf.zeros([1, 4]), tf.constant([2]))[0])  # log 4
      1.3862943649291992
    """
    logits = _full_precision(logits)
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)


def margin(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """max over wrong classes of the logit, minus the true class's: > 0 where misclassified.

    Carlini & Wagner (2017), f_6 without its floor.
    """
    logits = _full_precision(logits)
    true = tf.one_hot(labels, tf.shape(logits)[-1], on_value=True, off_value=False, dtype=tf.bool)
    wrong = tf.reduce_max(tf.where(true, logits.dtype.min, logits), -1)
    return wrong - tf.gather(logits, labels, axis=-1, batch_dims=1)


def dlr(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Difference of logits ratio, -(z_y - max_{i != y} z_i) / (z_(1) - z_(3)).

    Unchanged when the logits are shifted or scaled, so that large logits do not flatten its
    gradient as they do the cross-entropy's. > 0 where misclassified; needs 3 classes.

    Source: Croce & Hein (2020a), Eq. 6.
    """
    top = _sorted(logits, 3, "dlr")
    return margin(logits, labels) / (top[:, 0] - top[:, 2] + TINY)


def targeted_dlr(logits: tf.Tensor, labels: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """-(z_y - z_t) / (z_(1) - (z_(3) + z_(4)) / 2) for a target class t; needs 3 classes.

    With 3 classes, where there is no z_(4), (z_(2) + z_(3)) / 2 is subtracted: with z_(3) alone
    the loss would be -1, without a gradient, wherever t is third.

    Source: Croce & Hein (2020a), Eq. 7.
    """
    top = _sorted(logits, 3, "targeted_dlr", wanted=4)
    logits = tf.cast(logits, top.dtype)
    own = tf.gather(logits, labels, axis=-1, batch_dims=1)
    other = tf.gather(logits, targets, axis=-1, batch_dims=1)
    return (other - own) / (top[:, 0] - (top[:, -2] + top[:, -1]) / 2 + TINY)


def dlr_to_target(logits: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """(z_t - max_{i != t} z_i) / (z_(1) - (z_(3) + z_(4)) / 2) for a target class t.

    Eq. 7 of Croce & Hein (2020a) with the strongest other class in place of the true one, so that
    it is > 0 exactly where t is predicted. Minus Eq. 6 would be -1, without a gradient, wherever t
    is third. Needs 4 classes.
    """
    top = _sorted(logits, 4, "dlr with a target")
    return -margin(logits, targets) / (top[:, 0] - (top[:, 2] + top[:, 3]) / 2 + TINY)


def errors(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """1 where the largest logit is not the label's, else 0. NaN logits count as errors."""
    wrong = tf.argmax(logits, -1, tf.int32) != tf.cast(labels, tf.int32)
    broken = tf.reduce_any(tf.math.is_nan(logits), -1)
    return tf.cast(wrong | broken, tf.float32)


# What attacks maximize: name -> loss of the true label.
LOSSES: dict[str, Loss] = {"cross_entropy": cross_entropy, "margin": margin, "dlr": dlr}


def loss_to_target(name: str) -> Loss:
    """What a targeted attack maximizes for the name in LOSSES: a loss of the target class.

    For the margin, z_t - max_{i != t} z_i, it is minus Carlini & Wagner's (2017) f_6.
    """
    if name == "dlr":
        return dlr_to_target
    return lambda logits, targets: -LOSSES[name](logits, targets)


def require_classes(loss: Loss, classes: int) -> None:
    """Checks that `loss` is defined for a classifier of `classes` classes.

    Called before anything is compiled: an error raised while TensorFlow traces a function comes
    wrapped in a traceback of its own.

    Raises:
      ConfigError: fewer classes than the loss needs.
    """
    loss(tf.zeros([1, classes]), tf.zeros([1], tf.int32))


def _sorted(logits, needed, name, wanted=None):
    classes = logits.shape[-1]
    if classes < needed:
        raise ConfigError(
            f"Expected at least {needed} classes for the loss {name}. Received: {classes}. Use "
            "cross_entropy, or, of the attacks, apgd, fab and square."
        )
    return tf.math.top_k(tf.cast(logits, tf.float32), min(wanted or needed, classes)).values


def _full_precision(logits):
    return logits if logits.dtype == tf.float64 else tf.cast(logits, tf.float32)
