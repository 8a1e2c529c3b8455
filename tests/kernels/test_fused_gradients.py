"""One product for both orders: what it adds, how many there are, and what stays as it is."""

import collections
import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmtf.kernels import optimized
from mmtf.kernels.fused_gradients import fused_kernel_gradients
from mmtf.nets import NETS

NAMES = ("call", "convolution_op")


def penalized_gradients(net, x, factor=1.0, loss=lambda y: tf.reduce_mean(tf.sin(y))):
    """d/dw [loss + factor ||d loss/dx||^2 / 2]."""
    with tf.GradientTape() as outer:
        with tf.GradientTape(watch_accessed_variables=False) as inner:
            inner.watch(x)
            risk = loss(net(x, training=False))
        penalty = tf.reduce_sum(inner.gradient(risk, x) ** 2) / 2
        objective = risk + factor * penalty
    return outer.gradient(objective, net.trainable_variables)


def both(net, x, *arguments):
    """Nested and fused, as arrays."""
    found = []
    for opened in (contextlib.nullcontext(), fused_kernel_gradients(net)):
        with opened:
            gradients = penalized_gradients(net, x, *arguments)
        found.append([one.numpy() for one in gradients])
    return found


def double_net(channels, strides, padding):
    keras.utils.set_random_seed(0)
    layers = keras.layers
    conv = layers.Conv2D(5, 3, strides=strides, padding=padding, dtype="float64")
    return keras.Sequential(
        [
            keras.Input((9, 8, channels), dtype="float64"),
            conv,
            layers.Activation("softplus", dtype="float64"),
            layers.Conv2D(4, 2, activation="softplus", dtype="float64"),
            layers.Flatten(dtype="float64"),
            layers.Dense(4, activation="tanh", dtype="float64"),
            layers.Dense(3, use_bias=False, dtype="float64"),
        ]
    )


@pytest.mark.parametrize("channels", [1, 6])
@pytest.mark.parametrize("strides, padding", [(1, "same"), (2, "same"), (2, "valid")])
def test_kernels_have_a_term_of_second_order_more_and_biases_nothing(
    channels, strides, padding, rng
):
    net = double_net(channels, strides, padding)
    x = tf.constant(rng.uniform(-1, 1, (3, 9, 8, channels)))
    once, twice = (
        [fused - nested for nested, fused in zip(*both(net, x, factor), strict=True)]
        for factor in (20.0, 40.0)
    )
    for one, other, variable in zip(once, twice, net.trainable_variables, strict=True):
        if variable.path.endswith("bias"):
            # Sums of at most 3 x 72 numbers below 10, in another order: 216^2 x 10 roundings.
            np.testing.assert_allclose(one, 0, atol=216**2 * 10 * 2.0**-53)
        else:
            # to_kernel(c x', c b') is four times as much for twice the c, up to float64's rounding.
            assert np.abs(one).max() > 1e-7
            np.testing.assert_allclose(other, 4 * one, rtol=1e-4, atol=1e-11)


def test_a_loss_linear_in_the_logits_has_the_exact_gradient(rng):
    """Of a linear net: b' is 0 and so is the term, but nothing leads from y to dl/dy."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    net = keras.Sequential(
        [
            keras.Input((6, 6, 5), dtype="float64"),
            layers.Conv2D(4, 3, dtype="float64"),
            layers.Flatten(dtype="float64"),
            layers.Dense(3, dtype="float64"),
        ]
    )
    x = tf.constant(rng.uniform(-1, 1, (2, 6, 6, 5)))
    nested, fused = both(net, x, 1.0, tf.reduce_sum)
    for ours, exact in zip(fused, nested, strict=True):
        np.testing.assert_allclose(ours, exact, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("by_rows", [False, True])
@pytest.mark.parametrize("name, shape", [("mnist_cnn", (28, 28, 1)), ("cifar_cnn", (24, 24, 3))])
def test_in_a_net_and_only_inside_the_context(name, shape, by_rows, rng, monkeypatch):
    monkeypatch.setattr(
        tf.config, "list_logical_devices", lambda kind: [] if by_rows else ["a card"]
    )
    net = NETS[name](image_shape=shape, num_classes=5)
    x = tf.constant(rng.uniform(-1, 1, (3, *shape)), tf.float32)

    def operations():
        """Of the penalized gradients' graph, how many of each kind are needed."""
        traced = tf.function(lambda x: penalized_gradients(net, x), autograph=False)
        graph = traced.get_concrete_function(x).graph
        live = tf.compat.v1.graph_util.extract_sub_graph(
            graph.as_graph_def(), [one.op.name for one in graph.outputs]
        )
        return collections.Counter(node.op for node in live.node)

    with optimized(net, "inference"):
        before = [{one: vars(layer).get(one) for one in NAMES} for layer in net.layers]
        found = operations()
        assert found["Conv2DBackpropFilter"] == 4  # of two convolutions
        assert bool(found["ReverseV2"]) == by_rows
        with fused_kernel_gradients(net), fused_kernel_gradients(net):
            found = operations()
            assert found["Conv2DBackpropFilter"] == 2
            assert bool(found["ReverseV2"]) == by_rows
        after = [{one: vars(layer).get(one) for one in NAMES} for layer in net.layers]
    assert after == before
    assert not any(name in vars(layer) for layer in net.layers for name in NAMES)


def test_without_a_penalty_nothing_changes(rng):
    net = double_net(6, 2, "same")
    x = tf.constant(rng.uniform(-1, 1, (2, 9, 8, 6)))

    def gradients():
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(tf.sin(net(x)))
        return tape.gradient(loss, [x, *net.trainable_variables])

    plain = gradients()
    with fused_kernel_gradients(net):
        ours = gradients()
    for mine, theirs in zip(ours, plain, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-12, atol=1e-13)


def test_what_is_not_meant_stays():
    class Own(keras.layers.Dense):
        pass

    with fused_kernel_gradients(lambda x: x):
        pass
    layers = [
        keras.layers.Conv2D(4, 3, dilation_rate=2),
        keras.layers.Conv2D(4, 3, groups=2),
        keras.layers.DepthwiseConv2D(3),
        Own(3),
    ]
    net = keras.Sequential([keras.Input((12, 12, 2)), *layers])
    with fused_kernel_gradients(net):
        assert not any(name in vars(layer) for layer in layers for name in NAMES)


def test_a_dense_layer_over_sequences_stays_kerass(rng):
    dense = keras.layers.Dense(3, activation="tanh", dtype="float64")
    net = keras.Sequential([keras.Input((5, 4), dtype="float64"), dense])
    x = tf.constant(rng.uniform(-1, 1, (2, 5, 4)))
    nested, fused = both(net, x, 50.0)
    for ours, exact in zip(fused, nested, strict=True):
        np.testing.assert_array_equal(ours, exact)


def test_images_of_unknown_size_have_the_exact_gradient(rng):
    conv = keras.layers.Conv2D(3, 3, activation="tanh", dtype="float64")
    net = keras.Sequential([keras.Input((None, None, 2), dtype="float64"), conv])
    x = tf.constant(rng.uniform(-1, 1, (2, 6, 5, 2)))
    exact = [one.numpy() for one in penalized_gradients(net, x, 50.0)]
    signature = [tf.TensorSpec((None, None, None, 2), tf.float64)]
    with fused_kernel_gradients(net):
        traced = tf.function(
            lambda x: penalized_gradients(net, x, 50.0), input_signature=signature, autograph=False
        )(x)
    for ours, theirs in zip(traced, exact, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-13)
