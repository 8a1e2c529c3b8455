"""The input gradient by two wide convolutions is TensorFlow's."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmtf.kernels.conv_rows import fast_input_gradients, few_channel_conv
from mmtf.nets import NETS

# Sums of at most 25 x 8 products of numbers of order 1 in another order: 200 roundings of 2^-24
# relative to a sum of absolute values below 200.
NOISE = 200 * 200 * 2.0**-24

CASES = [
    (height, channels, taps, padding)
    for height in (6, 7, 9)
    for channels in (1, 2, 3, 4)
    for taps in (1, 2, 3, 5, 6)
    for padding in ("SAME", "VALID")
]


@pytest.mark.parametrize("height, channels, taps, padding", CASES)
def test_both_gradients_are_those_of_tensorflow(height, channels, taps, padding, rng):
    x = tf.constant(rng.uniform(-1, 1, (2, height, 8, channels)), tf.float32)
    kernel = tf.constant(
        rng.uniform(-1, 1, (taps, max(8 - taps, 1) if taps > 2 else taps, channels, 8)), tf.float32
    )
    found = []
    for convolve in (few_channel_conv, lambda x, k, padding: tf.nn.conv2d(x, k, 1, padding)):
        with tf.GradientTape() as tape:
            tape.watch([x, kernel])
            out = convolve(x, kernel, padding)
            total = tf.reduce_sum(tf.sin(out))
        found.append([out, *tape.gradient(total, [x, kernel])])
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=NOISE)


@pytest.mark.parametrize("height, channels, taps, padding", CASES[::2] + CASES[1::4])
@pytest.mark.parametrize("strides", [(2, 2), (3, 1), (2, 4)])
def test_so_are_those_with_strides(height, channels, taps, padding, strides, rng):
    x = tf.constant(rng.uniform(-1, 1, (2, height, 8, channels)), tf.float32)
    kernel = tf.constant(rng.uniform(-1, 1, (taps, max(taps - 1, 1), channels, 8)), tf.float32)
    found = []
    for convolve in (
        lambda x, kernel: few_channel_conv(x, kernel, padding, strides),
        lambda x, kernel: tf.nn.conv2d(x, kernel, strides, padding),
    ):
        with tf.GradientTape() as tape:
            tape.watch([x, kernel])
            out = convolve(x, kernel)
            total = tf.reduce_sum(tf.sin(out))
        found.append([out, *tape.gradient(total, [x, kernel])])
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=NOISE)


@pytest.mark.parametrize("strides", [(1, 1), (2, 2)])
def test_it_can_be_differentiated_again(strides, rng):
    """The penalty of Eq. 8, d/dk ||dl/dx||^2, and its gradient in x."""
    x = tf.constant(rng.uniform(-1, 1, (2, 6, 6, 1)), tf.float32)
    kernel = tf.constant(rng.uniform(-1, 1, (3, 3, 1, 4)), tf.float32)

    def penalty_gradients(convolve):
        with tf.GradientTape() as outer:
            outer.watch([x, kernel])
            with tf.GradientTape() as inner:
                inner.watch(x)
                total = tf.reduce_sum(tf.tanh(convolve(x, kernel, "SAME")))
            penalty = tf.reduce_sum(tf.square(inner.gradient(total, x)))
        return outer.gradient(penalty, [x, kernel])

    ours = penalty_gradients(lambda x, k, padding: few_channel_conv(x, k, padding, strides))
    theirs = penalty_gradients(lambda x, k, padding: tf.nn.conv2d(x, k, strides, padding))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=NOISE)


def input_gradient(model, x):
    @tf.function
    def run(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            total = tf.reduce_sum(tf.sin(model(x, training=False)))
        return tape.gradient(total, x)

    found = run(x)
    used = {op.type for op in run.get_concrete_function(x).graph.get_operations()}
    return found, "ReverseV2" in used


@pytest.mark.parametrize(
    "name, shape",
    [
        ("mnist_cnn", (28, 28, 1)),
        ("cifar_cnn", (24, 24, 3)),
        ("strided_cnn", (28, 28, 1)),
    ],
)
def test_in_a_net_and_only_inside_the_context(name, shape, rng):
    net = NETS[name](image_shape=shape, num_classes=5, init="keras")
    x = tf.constant(rng.uniform(-1, 1, (3, *shape)), tf.float32)
    plain, by_rows = input_gradient(net, x)
    assert not by_rows
    with fast_input_gradients(net), fast_input_gradients(net):
        ours, by_rows = input_gradient(net, x)
        assert by_rows
        eager = net(x, training=False)
    np.testing.assert_allclose(ours, plain, rtol=0, atol=1e-5 * np.abs(plain).max())
    np.testing.assert_allclose(eager, net(x, training=False), rtol=0, atol=1e-5)
    assert not input_gradient(net, x)[1]
    assert all("convolution_op" not in vars(layer) for layer in net.layers)


def test_functions_and_other_convolutions_stay():
    with fast_input_gradients(lambda x, training: x):
        pass
    layer = keras.layers.Conv2D(2, 3, dilation_rate=2)
    net = keras.Sequential([keras.Input((6, 6, 1)), layer])
    with fast_input_gradients(net):
        assert "convolution_op" not in vars(layer)
