"""Several attempts at one batch: other starts, or other target classes."""

import tensorflow as tf


def wrong_classes(classifier, x, y):
    """int32 [N, C - 1]: the wrong classes, the likeliest first."""
    logits = tf.cast(classifier(x, training=False), tf.float32)
    classes = logits.shape[-1]
    true = tf.one_hot(y, classes, on_value=True, off_value=False, dtype=tf.bool)
    return tf.math.top_k(tf.where(true, logits.dtype.min, logits), classes - 1).indices


def classifier_classes(classifier, x) -> int:
    """How many logits `classifier` gives for images like `x`."""
    return int(classifier(x[:1], training=False).shape[-1])


def restarted(reached, x, y, seed, count: int, start, attempt):
    """attempt(x, y, number, start(x, seed)) for number 0, ... on the examples that still stand.

    `reached(z, y)`, bool [N], says which do not. An example's start is that of its place in the
    whole batch, whoever else has fallen.
    """
    z = attempt(x, y, 0, start(x, seed))
    for number in range(1, count):
        standing = tf.where(~reached(z, y))[:, 0]
        if not len(standing):
            break
        own = tf.gather(start(x, seed_of(seed, number)), standing)
        again = attempt(tf.gather(x, standing), tf.gather(y, standing), number, own)
        z = tf.tensor_scatter_nd_update(z, standing[:, None], again)
    return z


def seed_of(seed, number):
    """The seed of restart `number`; the first is the attack's own."""
    return tf.random.experimental.stateless_fold_in(seed, number) if number else seed
