"""Pools and ReLUs beside TensorFlow's, to the bit, up to the third derivative."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmtf.kernels.max_pool import twice_differentiable_pools
from mmtf.kernels.second_derivatives import cheap_second_derivatives, max_pool, relu
from mmtf.nets import NETS

SHAPES = [
    (4, 4, 2, 2, "SAME"),
    (5, 7, 2, 2, "SAME"),
    (7, 6, 3, 2, "SAME"),
    (8, 8, 3, 2, "SAME"),
    (8, 7, 3, 2, "VALID"),
    (9, 9, 2, 3, "VALID"),
]


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


def directions_of(layer, x, rng):
    y = layer(x)
    return [tf.constant(rng.normal(0, 1, one.shape), tf.float32) for one in (y, x, y)]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("height, width, size, stride, padding", SHAPES)
def test_a_pool_is_tensorflows(rng, height, width, size, stride, padding, dtype):
    # Whole numbers from -3 to 3: most windows have ties.
    x = tf.cast(rng.integers(-3, 4, (3, height, width, 5)), dtype)
    window = ((size, size), (stride, stride), padding)
    directions = directions_of(lambda x: tf.nn.max_pool2d(x, *window), x, rng)
    theirs = derivatives(lambda x: tf.nn.max_pool2d(x, *window), x, directions)
    ours = derivatives(lambda x: max_pool(x, *window), x, directions)
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(mine, other)
    assert np.abs(ours[2]).max() > 0


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_relu_is_tensorflows(rng, dtype):
    x = tf.cast(rng.integers(-2, 3, (4, 6)), dtype)  # zeros among them
    directions = directions_of(tf.nn.relu, x, rng)
    theirs, ours = (derivatives(layer, x, directions) for layer in (tf.nn.relu, relu))
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(mine, other)


def penalty_gradients(net, x, weights):
    """d/d(weights, x) of the square of d/dx of a loss; the operations of its graph."""

    @tf.function(autograph=False)
    def gradients(x):
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                loss = tf.reduce_sum(net(x, training=False) ** 2)
            square = tf.reduce_sum(inner.gradient(loss, x) ** 2)
        return outer.gradient(square, [x, *weights])

    graph = gradients.get_concrete_function(x).graph
    kinds = [one.type for one in graph.get_operations()]
    return [tf.convert_to_tensor(one).numpy() for one in gradients(x)], kinds


@pytest.mark.parametrize("name, shape", [("mnist_cnn", (28, 28, 1)), ("cifar_cnn", (24, 24, 3))])
def test_in_a_net_and_only_while_open(name, shape, rng, monkeypatch):
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: [])
    net = NETS[name](image_shape=shape, num_classes=5)
    weights = net.trainable_variables[:-1]  # the last bias has no second derivative
    x = tf.constant(rng.uniform(-1, 1, (3, *shape)), tf.float32)
    plain, kinds = penalty_gradients(net, x, weights)
    assert "MaxPoolGradGrad" in kinds
    with cheap_second_derivatives(net), cheap_second_derivatives(net):
        ours, kinds = penalty_gradients(net, x, weights)
        assert "MaxPoolGradGrad" not in kinds
        eager = net(x, training=False)
    for mine, other in zip(ours, plain, strict=True):
        # The same sums but for zeros; convolutions may add in another order.
        np.testing.assert_allclose(mine, other, rtol=0, atol=1e-5 * np.abs(other).max())
    np.testing.assert_array_equal(eager, net(x, training=False))
    assert "MaxPoolGradGrad" in penalty_gradients(net, x, weights)[1]
    assert not any("call" in vars(layer) for layer in net.layers)


def test_what_is_not_meant_stays(monkeypatch):
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: [])
    with cheap_second_derivatives(lambda x: x):
        pass
    leaky, capped = keras.layers.ReLU(negative_slope=0.1), keras.layers.ReLU(max_value=6.0)
    net = keras.Sequential([keras.Input((6, 6, 1)), leaky, capped, keras.layers.MaxPooling2D()])
    with twice_differentiable_pools(net):
        theirs = vars(net.layers[-1])["call"]
        with cheap_second_derivatives(net):
            assert vars(net.layers[-1])["call"] is theirs
            assert "call" not in vars(leaky) and "call" not in vars(capped)
        assert vars(net.layers[-1])["call"] is theirs
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: ["a card"])
    with cheap_second_derivatives(net):
        assert not any("call" in vars(layer) for layer in net.layers)


def test_images_of_unknown_size_are_pooled_by_tensorflow(rng):
    x = tf.constant(rng.normal(0, 1, (2, 6, 5, 3)), tf.float32)
    signature = [tf.TensorSpec((None, None, None, 3))]
    pool = tf.function(lambda x: max_pool(x, (2, 2), (2, 2), "SAME"), input_signature=signature)
    np.testing.assert_array_equal(pool(x), tf.nn.max_pool2d(x, 2, 2, "SAME"))
