"""Keras models at substitute tensors: values, gradients, state; and two networks as a game."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmtf import solvers
from mmtf.functional import call, substitute

from .test_contract import TABLE


def network(outputs, seed, dropout=0.0, norm=False):
    initial = keras.initializers.GlorotUniform(seed=seed)
    layers = [keras.Input([3]), keras.layers.Dense(4, "tanh", kernel_initializer=initial)]
    if norm:
        layers.append(keras.layers.BatchNormalization())
    layers += [keras.layers.Dropout(dropout, seed=seed)] if dropout else []
    layers.append(keras.layers.Dense(outputs, kernel_initializer=initial, kernel_regularizer="l2"))
    return keras.Sequential(layers)


def images(rows=8):
    return tf.constant(np.random.default_rng(5).normal(size=(rows, 3)).astype("float32"))


def test_call_uses_the_tensors_and_leaves_the_variables():
    model, other, x = network(2, seed=0), network(2, seed=1), images()
    before = model.get_weights()
    tensors = [tf.convert_to_tensor(w) for w in other.trainable_variables]
    np.testing.assert_array_equal(call(model, tensors, x), other(x))
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_gradients_are_those_of_the_variables():
    model, x = network(2, seed=0), images()
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(x) ** 2)
    expected = tape.gradient(loss, [w.value for w in model.trainable_variables])
    tensors = [tf.convert_to_tensor(w) for w in model.trainable_variables]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        loss = tf.reduce_sum(call(model, tensors, x) ** 2)
    for a, b in zip(tape.gradient(loss, tensors), expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_regularization_losses_are_those_of_the_tensors():
    model = network(1, seed=0)
    tensors = [2 * tf.convert_to_tensor(w) for w in model.trainable_variables]
    plain = tf.add_n(model.losses)
    with substitute(model.trainable_variables, tensors):
        doubled = tf.add_n(model.losses)
    np.testing.assert_allclose(doubled, 4 * plain, rtol=1e-6)


@pytest.mark.parametrize("graph", [False, True])
def test_dropout_draws_a_new_mask_in_every_call(graph):
    model, x = network(1, seed=0, dropout=0.5), tf.ones([1, 3])
    tensors = [tf.convert_to_tensor(w) for w in model.trainable_variables]
    twin = network(1, seed=0, dropout=0.5)

    def substituted():
        return call(model, tensors, x, training=True)

    substituted = tf.function(substituted) if graph else substituted
    got = [float(substituted()[0, 0]) for _ in range(8)]
    # The masks of ordinary calls, one after the other; their values may differ by an ulp.
    np.testing.assert_allclose(got, [float(twin(x, training=True)[0, 0]) for _ in got], rtol=1e-6)
    assert len(set(got)) > 1


def test_moving_averages_move():
    model, twin, x = network(1, seed=0, norm=True), network(1, seed=0, norm=True), images()
    call(model, [tf.convert_to_tensor(w) for w in model.trainable_variables], x, training=True)
    twin(x, training=True)
    for a, b in zip(model.variables, twin.variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_refuses_the_wrong_number_of_tensors():
    model = network(1, seed=0)
    with pytest.raises(ValueError, match="Expected a tensor for each of 4 variables. Received: 1"):
        call(model, [tf.zeros([3, 4])], images())


@pytest.mark.parametrize("name", TABLE)
def test_two_networks_play(name):
    """A classifier against an attacker that moves its inputs: both players' gradients arrive."""
    defender, attacker = network(1, seed=0, dropout=0.25), network(3, seed=1)
    x = images()
    labels = tf.cast(x[:, :1] > 0, tf.float32)

    def risk(u, v, training):
        moved = x + 0.3 * tf.tanh(call(attacker, v, x))
        logits = call(defender, u, moved, training=training)
        loss = tf.nn.sigmoid_cross_entropy_with_logits(labels, logits)
        return tf.reduce_mean(loss)

    def f(u, v):
        return risk(u, v, training=True)

    def f_max(u, v):
        return risk(u, v, training=False)

    solver = solvers.SOLVERS[name](u_optimizer="adam", v_optimizer="adam", **TABLE[name])
    solver.build(defender.trainable_variables, attacker.trainable_variables)
    before = defender.get_weights() + attacker.get_weights()

    metrics = solver.step(f, f_max)  # eagerly: it takes a tenth of tracing
    assert all(np.isfinite(x) for x in metrics.values())
    for a, b in zip(before, defender.get_weights() + attacker.get_weights(), strict=True):
        assert np.all(np.isfinite(b))
        assert np.any(a != b)


@pytest.mark.parametrize("name", TABLE)
def test_networks_in_mixed_precision(name):
    """Variables float32, f in bfloat16: the step runs, and the variables stay float32."""
    layers = [keras.layers.Dense(n, dtype="mixed_bfloat16") for n in (1, 3)]
    defender, attacker = (keras.Sequential([keras.Input([3]), layer]) for layer in layers)
    x = images()
    solver = solvers.SOLVERS[name]().build(
        defender.trainable_variables, attacker.trainable_variables
    )
    before = defender.get_weights()[0]

    def f(u, v):
        value = tf.reduce_mean(call(defender, u, x + tf.cast(call(attacker, v, x), x.dtype)) ** 2)
        assert value.dtype == tf.bfloat16
        return value

    metrics = solver.step(f)
    assert all(np.isfinite(float(x)) for x in metrics.values())
    after = defender.get_weights()[0]
    assert after.dtype == np.float32 and np.any(after != before)


def test_the_defender_learns_against_the_attacker():
    """Algorithm 1 on two networks lowers the risk against the attacker met in training."""
    defender, attacker = network(1, seed=0), network(3, seed=1)
    x = images(64)
    labels = tf.cast(x[:, :1] + x[:, 1:2] > 0, tf.float32)

    def f(u, v):
        logits = call(defender, u, x + 0.1 * tf.tanh(call(attacker, v, x)))
        return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels, logits))

    solver = solvers.Sensitivity(
        u_optimizer=keras.optimizers.Adam(0.02), v_optimizer=keras.optimizers.Adam(0.02)
    )
    solution = solvers.solve(
        f, defender.trainable_variables, attacker.trainable_variables, solver=solver, steps=200
    )
    # ln 2 is the risk of a classifier that knows nothing.
    assert float(solution.value) < 0.5 * np.log(2)
    np.testing.assert_array_equal(solution.u[0], defender.trainable_variables[0].numpy())
