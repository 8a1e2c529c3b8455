"""The derivatives of an operation up to the third."""

import tensorflow as tf


def derivatives(layer, x, directions):
    """(f, J' u, J v, and of J v its own transpose J' w), as graphs in one function."""

    @tf.function(autograph=False)
    def all_of(x):
        up, along, third = (tf.cast(one, x.dtype) for one in directions)
        with tf.GradientTape() as deepest:
            deepest.watch(along)
            with tf.GradientTape() as outer:
                outer.watch(up)
                with tf.GradientTape() as inner:
                    inner.watch(x)
                    y = layer(x)
                first = inner.gradient(y, x, up)  # linear in `up`
            second = outer.gradient(first, up, along)  # linear in `along`
        return y, first, second, deepest.gradient(second, along, third)

    return [tf.cast(one, tf.float32).numpy() for one in all_of(x)]
