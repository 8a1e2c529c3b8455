"""Max pools and ReLUs that are cheap to differentiate twice, in a model's layers."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from derivatives import derivatives

from mmtf.kernels.second_derivatives import cpu_second_derivatives, relu, xla_second_derivatives
from mmtf.nets import NETS


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_relu_is_tensorflows(rng, dtype):
    x = tf.cast(rng.integers(-2, 3, (4, 6)), dtype)  # zeros among them
    directions = [tf.constant(rng.normal(0, 1, x.shape), tf.float32) for _ in range(3)]
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
def test_on_cpus_in_a_net_and_only_inside_the_context(name, shape, rng):
    net = NETS[name](image_shape=shape, num_classes=5)
    weights = net.trainable_variables[:-1]  # the last bias has no second derivative
    x = tf.constant(rng.uniform(-1, 1, (3, *shape)), tf.float32)
    plain, kinds = penalty_gradients(net, x, weights)
    assert "MaxPoolGradGrad" in kinds
    with cpu_second_derivatives(net), cpu_second_derivatives(net):
        ours, kinds = penalty_gradients(net, x, weights)
        assert "MaxPoolGradGrad" not in kinds
        eager = net(x, training=False)
    for mine, other in zip(ours, plain, strict=True):
        # The same sums but for zeros; convolutions may add in another order.
        np.testing.assert_allclose(mine, other, rtol=0, atol=1e-5 * np.abs(other).max())
    np.testing.assert_array_equal(eager, net(x, training=False))
    assert "MaxPoolGradGrad" in penalty_gradients(net, x, weights)[1]
    assert not any("call" in vars(layer) for layer in net.layers)


def test_for_xla_in_a_net_and_only_inside_the_context(rng):
    net = NETS["mnist_cnn"](image_shape=(8, 8, 1), num_classes=4)
    x = tf.constant(rng.uniform(-1, 1, (5, 8, 8, 1)), tf.float32)
    expected = net(x, training=False)
    with xla_second_derivatives(net):
        graph = tf.function(lambda x: net(x, training=False)).get_concrete_function(x).graph
        np.testing.assert_allclose(net(x, training=False), expected, rtol=1e-6, atol=1e-6)
    assert "MaxPool" not in {one.type for one in graph.get_operations()}
    pools = [one for one in net.layers if isinstance(one, keras.layers.MaxPooling2D)]
    assert pools and not any("call" in vars(one) for one in pools)
    with xla_second_derivatives(lambda x: x):
        pass


def test_other_layers_and_what_is_replaced_already_stay():
    with cpu_second_derivatives(lambda x: x):
        pass
    leaky, capped = keras.layers.ReLU(negative_slope=0.1), keras.layers.ReLU(max_value=6.0)
    net = keras.Sequential([keras.Input((6, 6, 1)), leaky, capped, keras.layers.MaxPooling2D()])
    with xla_second_derivatives(net):
        theirs = vars(net.layers[-1])["call"]
        with cpu_second_derivatives(net):
            assert vars(net.layers[-1])["call"] is theirs
            assert "call" not in vars(leaky) and "call" not in vars(capped)
        assert vars(net.layers[-1])["call"] is theirs
