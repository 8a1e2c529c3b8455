"""Adam in one kernel: Keras' update."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmtf.kernels.adam import Adam

STEPS, RATE, SIZE = 40, 1e-2, 1001


@pytest.mark.parametrize("jit_compile", [False, True])
def test_it_is_keras_adam(rng, jit_compile):
    start = rng.normal(size=SIZE).astype(np.float32)
    ours, theirs = keras.Variable(start), keras.Variable(start)
    one, other = Adam(RATE), keras.optimizers.Adam(RATE)
    one.build([ours])
    other.build([theirs])

    @tf.function(autograph=False, jit_compile=jit_compile)
    def step(gradient):
        one.apply([gradient], [ours])
        other.apply([gradient], [theirs])

    scales = 10.0 ** rng.uniform(-6, 3, SIZE)
    for _ in range(STEPS):
        step(tf.constant((rng.normal(size=SIZE) * scales).astype(np.float32)))
    # The kernel takes 1 - b2 of b2 = 0.999 in float32, Keras of 0.999: v is off by 2^-25 / 0.001 of
    # itself, the move by half of that, and no move is longer than the rate times 0.1 / sqrt(0.001).
    np.testing.assert_allclose(
        ours.numpy(), theirs.numpy(), rtol=0, atol=STEPS * RATE * 0.5 * 2**-25 / 1e-3 * 3.2
    )
    assert np.abs(ours.numpy() - start).mean() > RATE
    assert [v.shape for v in one.variables] == [v.shape for v in other.variables]


def test_sparse_gradients_are_left_to_keras():
    table = keras.Variable(np.ones([4, 2], np.float32))
    optimizer = Adam(RATE)
    optimizer.build([table])
    rows = tf.IndexedSlices(tf.ones([1, 2]), tf.constant([2]), dense_shape=tf.constant([4, 2]))
    optimizer.apply([rows], [table])
    moved = np.abs(table.numpy() - 1.0) > 0
    assert moved.tolist() == [[False] * 2, [False] * 2, [True] * 2, [False] * 2]
