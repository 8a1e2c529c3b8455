"""What a forward pass in training draws and leaves behind."""

from contextlib import nullcontext

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


@pytest.mark.parametrize("nested", [0, 1, 2])
def test_moving_averages_take_every_pass_in_scopes_within_a_scope(nested):
    """Of ones with momentum 0.5: 1 - 0.5^3 after three passes."""
    normalize = keras.layers.BatchNormalization(momentum=0.5)
    model = keras.Sequential([keras.Input((1,)), normalize])
    seed, ones = tf.constant([0, 1]), tf.ones([4, 1])

    @tf.function(autograph=False)
    def three():
        with seeded_dropout(model, seed=seed):
            for number in range(3):
                inner = seeded_dropout(model, seed=seed) if number >= 3 - nested else nullcontext()
                with inner:
                    model(ones, training=True)

    three()
    assert normalize.moving_mean.numpy() == [0.875]


def test_masks_in_a_scope_within_a_scope_follow_the_seed(x):
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dropout(0.5)])
    seed = tf.constant([0, 1])
    with seeded_dropout(model, seed=seed):
        first = model(x, training=True)
        with seeded_dropout(model, seed=seed):
            np.testing.assert_array_equal(model(x, training=True), first)
