"""What a forward pass in training draws and leaves behind."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmtf.kernels.keras_internals import make_global_seed_generator
from mmtf.training.dropout import seeded_dropout


@pytest.fixture
def x(rng):
    return tf.constant(rng.uniform(-1, 1, (5, 6)), tf.float32)


def traced(model, x):
    @tf.function(autograph=False)
    def call(seed):
        with seeded_dropout(model, seed=seed):
            return model(x, training=True)

    return lambda *seed: call(tf.constant(seed)).numpy()


@pytest.mark.parametrize(
    "make",
    [
        lambda: keras.layers.SpectralNormalization(keras.layers.Dense(4)),
        lambda: keras.layers.BatchNormalization(),
    ],
)
def test_what_layers_assign_to_their_weights_stays(make, x):
    ours, keras_own = (keras.Sequential([keras.Input((6,)), make()]) for _ in range(2))
    keras_own.set_weights(ours.get_weights())
    before = ours.get_weights()
    for _ in range(2):
        np.testing.assert_allclose(traced(ours, x)(0, 1), keras_own(x, training=True), atol=1e-6)
    for a, b in zip(ours.get_weights(), keras_own.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    assert any(np.abs(a - b).max() > 0.01 for a, b in zip(before, ours.get_weights(), strict=True))


class Noisy(keras.layers.Layer):
    """Draws as Keras' guide shows it, but without a generator of its own."""

    def call(self, x, training=False):
        return x + keras.random.normal(keras.ops.shape(x)) if training else x


@pytest.mark.parametrize("make", [Noisy, lambda: keras.layers.Dropout(0.5)])
def test_draws_follow_the_seed_alone(make, x):
    make_global_seed_generator()
    model = keras.Sequential([keras.Input((6,)), make()])
    call = traced(model, x)
    first = call(0, 1)
    np.testing.assert_array_equal(call(0, 1), first)
    for other in ((0, 2), (1, 1)):
        assert np.abs(call(*other) - first).max() > 0.1
