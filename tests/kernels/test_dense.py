"""Dense layers as multiplications and sums compute what the layers compute."""

import collections

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmtf.classifiers.precision import computing_in
from mmtf.kernels.bilinear import MATMUL
from mmtf.kernels.dense import SUMS, narrow_dense_layers
from mmtf.kernels.fused_gradients import fused_kernel_gradients
from mmtf.nets import NETS


@pytest.mark.parametrize("name", ["forward", "to_inputs", "to_kernel"])
def test_sums_and_their_gradients_are_those_of_a_product(name, rng):
    x, kernel, upstream = (tf.constant(rng.normal(size=one)) for one in ((7, 30), (30, 4), (7, 4)))
    given = {"forward": (x, kernel), "to_inputs": (upstream, kernel), "to_kernel": (x, upstream)}
    found, expected = (getattr(one, name)(*given[name]) for one in (SUMS, MATMUL))
    np.testing.assert_allclose(found, expected, rtol=0, atol=30 * 100 * 2.0**-53)


def products_in(net, x):
    """(logits, d/du of sum sin of them, matrix products in the graph of each kind)."""

    @tf.function(autograph=False)
    def gradients(x):
        with tf.GradientTape() as tape:
            logits = net(x, training=False)
            total = tf.reduce_sum(tf.sin(logits))
        return logits, tape.gradient(total, net.trainable_variables)

    graph = gradients.get_concrete_function(x).graph
    return *gradients(x), collections.Counter(one.type for one in graph.get_operations())


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_in_a_net_and_only_inside_the_context(precision, fused, rng):
    net = NETS["mnist_cnn"](image_shape=(8, 8, 1), num_classes=3)
    x = tf.constant(rng.uniform(-1, 1, (5, 8, 8, 1)), tf.float32)
    with computing_in(net, precision):
        logits, theirs, before = products_in(net, x)
        with narrow_dense_layers(net):
            if fused:
                with fused_kernel_gradients(net):
                    found, ours, after = products_in(net, x)
            else:
                found, ours, after = products_in(net, x)
    # Of the logits: forward, in the features and in the kernel.
    assert before["MatMul"] - after["MatMul"] == 3
    exact = 1e-5 if precision == "float32" else 0.05
    np.testing.assert_allclose(found, logits, rtol=0, atol=exact)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=exact * np.abs(b).max())
    assert not any("call" in vars(layer) for layer in net.layers)


def test_wide_layers_and_subclasses_stay():
    class Own(keras.layers.Dense):
        pass

    with narrow_dense_layers(lambda x: x):
        pass
    net = keras.Sequential([keras.Input((6,)), keras.layers.Dense(17), Own(3)])
    with narrow_dense_layers(net), computing_in(net, "float32"):
        assert not any("call" in vars(layer) for layer in net.layers)
    layer = keras.layers.Dense(3)
    net = keras.Sequential([keras.Input((4, 6)), layer])
    x = tf.ones((2, 4, 6))
    expected = net(x)
    with narrow_dense_layers(net):
        assert "call" in vars(layer)
        np.testing.assert_array_equal(net(x), expected)
