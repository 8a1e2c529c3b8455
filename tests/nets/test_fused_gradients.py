"""One product for both orders: how many there are, where, and what stays as it is."""

import collections

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmtf.nets import NETS
from mmtf.nets.fused_gradients import fused_kernel_gradients
from mmtf.nets.thin_gradient import thin_input_gradients

NAMES = ("call", "convolution_op")


def penalised_gradients(net, x):
    """d/dw [loss + ||d loss/dx||^2 / 2] of a curved loss; how many operations of each kind."""

    @tf.function(autograph=False)
    def gradients(x):
        with tf.GradientTape() as outer:
            with tf.GradientTape(watch_accessed_variables=False) as inner:
                inner.watch(x)
                loss = tf.reduce_mean(tf.sin(net(x, training=False)))
            objective = loss + tf.reduce_sum(inner.gradient(loss, x) ** 2) / 2
        return outer.gradient(objective, net.trainable_variables)

    found = [one.numpy() for one in gradients(x)]
    graph = gradients.get_concrete_function(x).graph
    live = tf.compat.v1.graph_util.extract_sub_graph(
        graph.as_graph_def(), [one.op.name for one in graph.outputs]
    )
    return found, collections.Counter(node.op for node in live.node)


@pytest.mark.parametrize("thin", [False, True])
@pytest.mark.parametrize("name, shape", [("mnist_cnn", (28, 28, 1)), ("cifar_cnn", (24, 24, 3))])
def test_in_a_net_and_only_while_open(name, shape, thin, rng, monkeypatch):
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: [] if thin else ["a card"])
    net = NETS[name](image_shape=shape, num_classes=5)
    x = tf.constant(rng.uniform(-1, 1, (3, *shape)), tf.float32)
    with thin_input_gradients(net):
        before = [dict(vars(layer)) for layer in net.layers]
        nested, operations = penalised_gradients(net, x)
        assert operations["Conv2DBackpropFilter"] == 4  # of two convolutions
        assert bool(operations["DepthToSpace"]) == thin
        with fused_kernel_gradients(net), fused_kernel_gradients(net):
            fused, operations = penalised_gradients(net, x)
            assert operations["Conv2DBackpropFilter"] == 2
            assert bool(operations["DepthToSpace"]) == thin
            eager = net(x, training=False)
        after = [{one: vars(layer).get(one) for one in NAMES} for layer in net.layers]
    assert after == [{one: held.get(one) for one in NAMES} for held in before]
    np.testing.assert_allclose(eager, net(x, training=False), rtol=0, atol=1e-6)
    for mine, exact in zip(fused, nested, strict=True):
        np.testing.assert_allclose(mine, exact, rtol=0, atol=0.05 * np.abs(exact).max())


@pytest.mark.parametrize("strides, padding", [(1, "same"), (2, "same"), (2, "valid")])
def test_without_a_penalty_nothing_changes(strides, padding, rng):
    net = keras.Sequential(
        [
            keras.Input((9, 8, 6)),
            keras.layers.Conv2D(5, 3, strides=strides, padding=padding, activation="tanh"),
            keras.layers.Flatten(),
            keras.layers.Dense(4, use_bias=False, activation="sigmoid"),
            keras.layers.Dense(3),
        ]
    )
    x = tf.constant(rng.uniform(-1, 1, (2, 9, 8, 6)), tf.float32)

    def gradients():
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(tf.sin(net(x)))
        return tape.gradient(loss, [x, *net.trainable_variables])

    plain = gradients()
    with fused_kernel_gradients(net):
        ours = gradients()
    for mine, theirs in zip(ours, plain, strict=True):
        # Sums of at most 2 x 72 products of numbers of order 1.
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=144 * 144 * 2.0**-24)


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


def test_shapes_beyond_images_are_kerass(rng):
    """A Dense over sequences; convolutions over images of a size that is not known."""
    dense = keras.Sequential([keras.Input((5, 4)), keras.layers.Dense(3)])
    conv = keras.Sequential([keras.Input((None, None, 2)), keras.layers.Conv2D(3, 3)])
    for net, shape in ((dense, (2, 5, 4)), (conv, (2, 6, 5, 2))):
        x = tf.constant(rng.uniform(-1, 1, shape), tf.float32)
        signature = [tf.TensorSpec((None, *net.input_shape[1:]))]
        plain = net(x)
        with fused_kernel_gradients(net):
            traced = tf.function(net, input_signature=signature, autograph=False)(x)
        np.testing.assert_allclose(traced, plain, rtol=0, atol=1e-6)
