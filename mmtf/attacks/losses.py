"""What attacks raise besides the risk: per-example functions of logits [N, C] and labels [N]."""

import tensorflow as tf

from mmtf import losses
from mmtf.errors import ConfigError

# Below the scale of float32 logits: equal top logits give 0 / 1e-12 = 0, not NaN.
TINY = 1e-12


def dlr(logits, labels):
    """Difference of logits ratio, -(z_y - max_{i != y} z_i) / (z_(1) - z_(3)).

    Unchanged when the logits are shifted or scaled, so that large logits do not flatten its
    gradient as they do the cross-entropy's. > 0 where misclassified; needs 3 classes.

    Source: Croce & Hein (2020a), Eq. 6.
    """
    top = _sorted(logits, 3, "dlr")
    return losses.margin(logits, labels) / (top[:, 0] - top[:, 2] + TINY)


def targeted_dlr(logits, labels, targets):
    """-(z_y - z_t) / (z_(1) - (z_(3) + z_(4)) / 2) for a target class t; needs 3 classes.

    With 3 classes, where there is no z_(4), (z_(2) + z_(3)) / 2 is taken off: with z_(3) alone the
    loss would be -1, without a gradient, wherever t is third.

    Source: Croce & Hein (2020a), Eq. 7.
    """
    top = _sorted(logits, 3, "targeted_dlr", wanted=4)
    logits = tf.cast(logits, top.dtype)
    own = tf.gather(logits, labels, axis=-1, batch_dims=1)
    other = tf.gather(logits, targets, axis=-1, batch_dims=1)
    return (other - own) / (top[:, 0] - (top[:, -2] + top[:, -1]) / 2 + TINY)


def aimed_dlr(logits, labels):
    """(z_t - max_{i != t} z_i) / (z_(1) - (z_(3) + z_(4)) / 2), t the label; needs 4 classes.

    Eq. 7 of Croce & Hein (2020a) with the strongest other class for the true one, so that it is
    > 0 just where t is predicted. Minus Eq. 6 would be -1, without a gradient, wherever t is third.
    """
    top = _sorted(logits, 4, "dlr with a target")
    return -losses.margin(logits, labels) / (top[:, 0] - (top[:, 2] + top[:, 3]) / 2 + TINY)


# What is raised away from the label, and towards it.
LOSSES = {"cross_entropy": losses.cross_entropy, "margin": losses.margin, "dlr": dlr}
AIMED_LOSSES = {
    "cross_entropy": lambda logits, labels: -losses.cross_entropy(logits, labels),
    "margin": lambda logits, labels: -losses.margin(logits, labels),
    "dlr": aimed_dlr,
}


def refuse_few_classes(loss, classes: int) -> None:
    """Raises the ConfigError of `loss` where a classifier of `classes` has too few for it.

    Before anything is compiled: TensorFlow wraps what is raised in a graph in its own traceback.
    """
    labels = tf.zeros([1], tf.int32)
    loss(tf.zeros([1, classes]), labels)


def _sorted(logits, needed, name, wanted=None):
    classes = logits.shape[-1]
    if classes < needed:
        raise ConfigError(
            f"Expected at least {needed} classes for the loss {name}. Received: {classes}. Use "
            "cross_entropy, or, of the attacks, apgd, fab and square."
        )
    return tf.math.top_k(tf.cast(logits, tf.float32), min(wanted or needed, classes)).values
