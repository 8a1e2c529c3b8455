"""Convolutions as products over blocks of pixels are those convolutions."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmtf.kernels.bilinear import conv2d_of
from mmtf.kernels.conv_blocks import block_conv, block_convolutions
from mmtf.kernels.fused_gradients import fused_kernel_gradients
from mmtf.nets import NETS

# Sums of at most 9 x 11 x 2 products of numbers in [-1, 1], in another order.
NOISE = 200**2 * 2.0**-53

CASES = [
    ((height, 11, channels), (*taps, channels, 5), padding)
    for height in (5, 8, 9)
    for channels in (1, 3)
    for taps in ((2, 2), (3, 3), (5, 5), (3, 4), (5, 2), (4, 7))
    for padding in ("SAME", "VALID")
]


@pytest.mark.parametrize("size, kernel_shape, padding", CASES)
def test_it_and_its_transposes_are_those_of_tensorflow(size, kernel_shape, padding, rng):
    ours = block_conv(size, kernel_shape, padding)
    theirs = conv2d_of(size, kernel_shape, (1, 1), padding)
    x, kernel = (tf.constant(rng.uniform(-1, 1, one)) for one in ((2, *size), kernel_shape))
    y = theirs.forward(x, kernel)
    upstream = tf.constant(rng.uniform(-1, 1, y.shape))
    np.testing.assert_allclose(ours.forward(x, kernel), y, rtol=0, atol=NOISE)
    for name, given in (("to_inputs", (upstream, kernel)), ("to_kernel", (x, upstream))):
        found, expected = (getattr(one, name)(*given) for one in (ours, theirs))
        np.testing.assert_allclose(found, expected, rtol=0, atol=NOISE)


def test_bfloat16_is_rounded_once_a_sum(rng):
    """As in a convolution proper: a gradient is within half a unit of its last place."""
    size, shape = (14, 14, 1), (5, 5, 1, 8)
    x, kernel = (tf.constant(rng.uniform(-1, 1, one), tf.bfloat16) for one in ((4, *size), shape))
    upstream = tf.constant(rng.uniform(-1, 1, (4, 14, 14, 8)), tf.bfloat16)
    exact = conv2d_of(size, shape, (1, 1), "SAME")
    ours = block_conv(size, shape, "SAME")
    for name, given in (("to_inputs", (upstream, kernel)), ("to_kernel", (x, upstream))):
        compiled = tf.function(getattr(ours, name), jit_compile=True, autograph=False)
        found = tf.cast(compiled(*given), tf.float64)
        expected = getattr(exact, name)(*(tf.cast(one, tf.float64) for one in given))
        # Eight bits; that the sums themselves are float32 shows in less than a thousandth of it.
        assert np.all(np.abs(found - expected) <= 1.001 * 2.0**-9 * 2 * np.abs(expected) + 1e-3)


def penalty_gradients(net, x):
    """d/du [s + ||ds/dx||^2], s = sum sin(net(x)), by XLA, and the kinds of its operations."""

    @tf.function(jit_compile=True, autograph=False)
    def gradients(x):
        with tf.GradientTape() as outer:
            with tf.GradientTape(watch_accessed_variables=False) as inner:
                inner.watch(x)
                total = tf.reduce_sum(tf.sin(net(x, training=False)))
            objective = total + tf.reduce_sum(inner.gradient(total, x) ** 2)
        return outer.gradient(objective, net.trainable_variables)

    graph = gradients.get_concrete_function(x).graph
    return gradients(x), {one.type for one in graph.get_operations()}


@pytest.mark.parametrize("fused", [False, True])
def test_in_a_net_twice_and_only_inside_the_context(fused, rng):
    layers = keras.layers
    net = keras.Sequential(
        [
            keras.Input((9, 8, 2)),
            layers.Conv2D(6, 3, padding="same", activation="tanh"),
            layers.Flatten(),
            layers.Dense(3),
        ]
    )
    x = tf.constant(rng.uniform(-1, 1, (4, 9, 8, 2)), tf.float32)
    found = []
    for opened in (block_convolutions, lambda net: block_convolutions(lambda x: x)):
        with opened(net):
            if not fused:
                found.append(penalty_gradients(net, x))
                continue
            with fused_kernel_gradients(net):
                found.append(penalty_gradients(net, x))
    (ours, operations), (theirs, before) = found
    assert "Conv2D" in before and not any(one.startswith("Conv2D") for one in operations)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * np.abs(b).max())
    assert not any("convolution_op" in vars(layer) for layer in net.layers)


def test_other_convolutions_stay():
    for net in (
        NETS["mnist_cnn"](image_shape=(8, 8, 8), num_classes=3),
        keras.Sequential([keras.Input((6, 6, 1)), keras.layers.Conv2D(2, 1)]),
        keras.Sequential([keras.Input((6, 6, 1)), keras.layers.Conv2D(2, 3, strides=2)]),
        keras.Sequential([keras.Input((9, 9, 1)), keras.layers.Conv2D(2, 8)]),
    ):
        with block_convolutions(net):
            assert not any("convolution_op" in vars(layer) for layer in net.layers)


def test_images_of_unknown_size_are_convolved_by_tensorflow(rng):
    net = keras.Sequential([keras.Input((None, None, 1)), keras.layers.Conv2D(2, 3)])
    x = tf.constant(rng.uniform(-1, 1, (2, 7, 6, 1)), tf.float32)
    expected = net(x)
    with block_convolutions(net):
        symbolic = tf.function(net, input_signature=[tf.TensorSpec((None, None, None, 1))])
        np.testing.assert_allclose(symbolic(x), expected, rtol=0, atol=1e-5)
