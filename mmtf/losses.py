"""Per-example losses: logits float [N, C] and labels int [N] in [0, C) give float [N].

Each loss is computed in float32, or in float64 if the logits are float64. Logits in bfloat16 or
float16 are converted to float32 first. N examples, C classes; z_i is the logit of class i, y the
label, z_(k) the k-th largest logit.
"""

from collections.abc import Callable

import tensorflow as tf

from mmtf.errors import ConfigError

Loss = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
# Added to denominators: equal largest logits give 0 / 1e-12 = 0 instead of NaN.
TINY = 1e-12


def cross_entropy(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """-log softmax(logits)[label] >= 0, the loss l of Eq. 2; shape [N].

    Example:
      >>> float(cross_entropy(tf.zeros([1, 4]), tf.constant([2]))[0])  # log 4
      1.3862943649291992
    """
    logits = full_precision(logits)
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)


def smoothed_cross_entropy(
    logits: tf.Tensor, labels: tf.Tensor, smoothing: float = 0.0
) -> tf.Tensor:
    """The cross-entropy with smoothed labels, shape [N] (Szegedy et al. 2016, section 7).

    (1 - a) cross_entropy(z, y) + a mean_k cross_entropy(z, k): the label has the probability
    1 - a + a / C, each other class a / C. For a = 0 it is `cross_entropy` itself.

    Args:
      logits: [N, C].
      labels: int [N].
      smoothing: a in [0, 1).

    Example:
      >>> z = tf.math.log([[0.5, 0.25, 0.25]])
      >>> print(smoothed_cross_entropy(z, tf.constant([0]), 0.3).numpy())  # (.8 + 2 * .2) log 2
      [0.8317766]
    """
    hard = cross_entropy(logits, labels)
    if not smoothing:
        return hard
    logits = full_precision(logits)
    every = tf.reduce_logsumexp(logits, -1) - tf.reduce_mean(logits, -1)
    return (1.0 - smoothing) * hard + smoothing * every


def margin(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """max_{i != y} z_i - z_y, shape [N]: > 0 where misclassified, < 0 where correct, 0 at a tie.

    Source: Carlini & Wagner (2017), f_6 without its lower bound -kappa.

    Example:
      >>> margin(tf.constant([[3.0, 1.0], [3.0, 1.0]]), tf.constant([0, 1])).numpy().tolist()
      [-2.0, 2.0]
    """
    logits = full_precision(logits)
    true = tf.one_hot(labels, tf.shape(logits)[-1], on_value=True, off_value=False, dtype=tf.bool)
    wrong = tf.reduce_max(tf.where(true, logits.dtype.min, logits), -1)
    return wrong - tf.gather(logits, labels, axis=-1, batch_dims=1)


def dlr(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Difference of logits ratio, -(z_y - max_{i != y} z_i) / (z_(1) - z_(3)); shape [N].

    Adding a constant to all logits, or multiplying them by a positive one, does not change it, so
    its gradient does not vanish for large logits as that of the cross-entropy does. It is positive
    where the example is misclassified and in [-1, 0) where it is classified correctly.

    Source: Croce & Hein (2020a), Eq. 6.

    Raises:
      ConfigError: fewer than 3 classes.
    """
    top = _sorted(logits, 3, "dlr")
    return margin(logits, labels) / (top[:, 0] - top[:, 2] + TINY)


def targeted_dlr(logits: tf.Tensor, labels: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """-(z_y - z_t) / (z_(1) - (z_(3) + z_(4)) / 2) for a target class t; shape [N].

    With exactly 3 classes there is no z_(4), and the denominator is z_(1) - (z_(2) + z_(3)) / 2.
    The denominator z_(1) - z_(3) would make the loss constant (-1, gradient 0) wherever y has the
    largest logit and t the smallest.

    Args:
      logits: [N, C].
      labels: int [N], the true classes y.
      targets: int [N], the target classes t.

    Source: Croce & Hein (2020a), Eq. 7.

    Raises:
      ConfigError: fewer than 3 classes.
    """
    top = _sorted(logits, 3, "targeted_dlr", wanted=4)
    logits = tf.cast(logits, top.dtype)
    own = tf.gather(logits, labels, axis=-1, batch_dims=1)
    other = tf.gather(logits, targets, axis=-1, batch_dims=1)
    return (other - own) / (top[:, 0] - (top[:, -2] + top[:, -1]) / 2 + TINY)


def dlr_to_target(logits: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """(z_t - max_{i != t} z_i) / (z_(1) - (z_(3) + z_(4)) / 2) for a target class t; shape [N].

    This is Eq. 7 of Croce & Hein (2020a) with the largest logit among the classes other than t in
    place of z_y. It is positive where t is predicted. The negative of Eq. 6 (`dlr`) is not
    used: it is constant (-1, gradient 0) wherever t has the third-largest logit.

    Args:
      logits: [N, C].
      targets: int [N], the target classes t.

    Raises:
      ConfigError: fewer than 4 classes.
    """
    top = _sorted(logits, 4, "dlr with a target")
    return -margin(logits, targets) / (top[:, 0] - (top[:, 2] + top[:, 3]) / 2 + TINY)


def kl_divergence(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """KL(p || q) = sum_k p_k (log p_k - log q_k) >= 0 of p = softmax(first), q = softmax(second).

    Args:
      first, second: logits [N, C]; the result has the shape [N].

    Example:
      >>> from math import log
      >>> sure, open_ = tf.constant([[log(3.0), 0.0]]), tf.constant([[0.0, 0.0]])
      >>> print(kl_divergence(sure, open_).numpy().round(4))  # 3/4 log(3/2) + 1/4 log(1/2)
      [0.1308]
    """
    p, q = (tf.nn.log_softmax(full_precision(one)) for one in (first, second))
    return tf.reduce_sum(tf.exp(p) * (p - q), -1)


def errors(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """float32 [N]: 1 where the predicted class is not the label or a logit is NaN, else 0."""
    wrong = tf.argmax(logits, -1, tf.int32) != tf.cast(labels, tf.int32)
    broken = tf.reduce_any(tf.math.is_nan(logits), -1)
    return tf.cast(wrong | broken, tf.float32)


# Losses that untargeted attacks can maximize, by name.
LOSSES: dict[str, Loss] = {"cross_entropy": cross_entropy, "margin": margin, "dlr": dlr}


def loss_to_target(name: str) -> Loss:
    """The function (logits, targets) -> [N] that a targeted attack maximizes.

    It is `dlr_to_target` for `dlr`, and minus the loss of the target class for the others. For
    `margin` it is z_t - max_{i != t} z_i, the negative of Carlini & Wagner's (2017) f_6.

    Args:
      name: a key of LOSSES.
    """
    if name == "dlr":
        return dlr_to_target
    return lambda logits, targets: -LOSSES[name](logits, targets)


def require_classes(loss: Loss, classes: int) -> None:
    """Checks that `loss` is defined for a classifier with `classes` classes.

    Attacks call this before they compile a function: TensorFlow adds its own traceback to an error
    that is raised while it traces one.

    Raises:
      ConfigError: `loss` needs more classes.
    """
    loss(tf.zeros([1, classes]), tf.zeros([1], tf.int32))


def _sorted(logits, needed, name, wanted=None):
    classes = logits.shape[-1]
    if classes < needed:
        raise ConfigError(
            f"Expected at least {needed} classes for the loss {name}. Received: {classes}. Use the "
            "loss cross_entropy, or one of the attacks apgd, fab and square."
        )
    return tf.math.top_k(full_precision(logits), min(wanted or needed, classes)).values


def full_precision(logits: tf.Tensor) -> tf.Tensor:
    """Logits in float32, or in float64 if they are that."""
    return logits if logits.dtype == tf.float64 else tf.cast(logits, tf.float32)
