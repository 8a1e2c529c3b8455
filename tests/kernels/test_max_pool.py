"""Pools of slices beside TensorFlow's: values, gradients, second derivatives, by XLA too."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmtf.kernels.max_pool import max_pool, twice_differentiable_pools
from mmtf.nets import NETS

SHAPES = [
    (4, 4, 2, 2, "SAME"),
    (5, 7, 2, 2, "SAME"),
    (5, 7, 2, 2, "VALID"),
    (7, 9, 3, 3, "SAME"),
    (7, 6, 3, 2, "SAME"),
    (8, 7, 3, 2, "VALID"),
]


def derivatives(pool, x, weights, **options):
    """(pooled, d/dx of s = sum of weights pool(x)^3, d/dx of ||ds/dx||^2)."""

    @tf.function(**options)
    def all_of(x):
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                pooled = pool(x)
                total = tf.reduce_sum(weights * pooled**3)
            first = inner.gradient(total, x)
            square = tf.reduce_sum(first**2)
        return pooled, first, outer.gradient(square, x)

    return [one.numpy() for one in all_of(tf.constant(x))]


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("height, width, size, stride, padding", SHAPES)
def test_all_is_as_in_tensorflow(rng, height, width, size, stride, padding, jit_compile):
    x = rng.normal(0, 1, (3, height, width, 2)).astype(np.float32)
    x[0, :2, :2] = 1.0  # ties
    x[1, :2, :2] = [[[1.0], [1.001]], [[1.0005], [0.9]]]  # equal when rounded to bfloat16
    window = ((size, size), (stride, stride), padding)
    shape = tf.nn.max_pool2d(x, *window).shape
    weights = rng.normal(0, 1, shape).astype(np.float32)
    theirs = derivatives(lambda x: tf.nn.max_pool2d(x, *window), x, weights)
    ours = derivatives(lambda x: max_pool(x, *window), x, weights, jit_compile=jit_compile)
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("stride", [2, 3])
def test_a_nan_stays(stride, jit_compile):
    """A risk that is not finite ends a run; a pool must not hide it.

    Whole windows, as a broken weight leaves them: XLA's maximum on CPUs passes over a single one.
    """
    x = np.zeros((1, 6, 6, 1), np.float32)
    x[0, :3, :3] = np.nan
    pool = tf.function(lambda x: max_pool(x, (3, 3), (stride, stride), "VALID"))
    pool = tf.function(pool, jit_compile=jit_compile)
    assert np.isnan(pool(x)[0, 0, 0, 0])


def test_in_a_net_and_only_while_open(rng):
    net = NETS["mnist_cnn"](image_shape=(8, 8, 1), num_classes=4)
    x = tf.constant(rng.uniform(-1, 1, (5, 8, 8, 1)), tf.float32)
    expected = net(x, training=False)
    with twice_differentiable_pools(net):
        graph = tf.function(lambda x: net(x, training=False)).get_concrete_function(x).graph
        np.testing.assert_allclose(net(x, training=False), expected, rtol=1e-6, atol=1e-6)
    assert "MaxPool" not in {one.type for one in graph.get_operations()}
    pools = [one for one in net.layers if isinstance(one, keras.layers.MaxPooling2D)]
    assert pools and not any("call" in vars(one) for one in pools)
    with twice_differentiable_pools(lambda x: x):
        pass
