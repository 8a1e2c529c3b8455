"""Products of transforms are convolutions, in values and derivatives; where they are used."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmtf.kernels.bilinear import conv2d_of
from mmtf.kernels.conv_fourier import MIN_BATCH, fourier_conv, fourier_convolutions, saves
from mmtf.kernels.fused_gradients import fused_kernel_gradients
from mmtf.nets import NETS
from tests.kernels.derivatives import derivatives

CASES = [
    (size, taps, padding)
    for size in ((7, 7), (8, 6), (5, 9))
    for taps in ((5, 5), (3, 4), (2, 1), (1, 3))
    for padding in ("SAME", "VALID")
]


def bound(*factors):
    """Rounding error of a bilinear operation by transforms, from its factors' norms.

    Each of the three transforms is a unitary matrix up to its scale, in two products of sums of at
    most 2 x 14 terms, and the products of frequencies are sums of at most 64 terms: 3 x 56 + 64
    roundings of 2^-24, each relative to the norm of the whole.
    """
    return (3 * 56 + 64) * 2.0**-24 * np.prod([np.linalg.norm(one) for one in factors])


def arrays(rng, size, taps, padding):
    x = rng.uniform(-1, 1, (3, *size, 4)).astype("float32")
    kernel = rng.uniform(-1, 1, (*taps, 4, 5)).astype("float32")
    lost = [0 if padding == "SAME" else one - 1 for one in taps]
    out = [have - less for have, less in zip(size, lost, strict=True)]
    return x, kernel, rng.uniform(-1, 1, (3, *out, 5)).astype("float32")


@pytest.mark.parametrize("size, taps, padding", CASES)
def test_the_three_operations_are_those_of_a_convolution_in_float64(size, taps, padding, rng):
    x, kernel, upstream = arrays(rng, size, taps, padding)
    ours = fourier_conv((*size, 4), kernel.shape, padding)
    exact = conv2d_of((*size, 4), kernel.shape, (1, 1), padding)
    for name, factors in (
        ("forward", (x, kernel)),
        ("to_inputs", (upstream, kernel)),
        ("to_kernel", (x, upstream)),
    ):
        found = getattr(ours, name)(*factors)
        expected = getattr(exact, name)(*(one.astype("float64") for one in factors))
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=0, atol=bound(*factors))


def test_an_image_of_zeros_has_outputs_of_zero_whatever_else_is_in_its_batch(rng):
    """So that a gradient of 0, by which attacks tell masking, stays 0."""
    x, kernel, _ = arrays(rng, (7, 7), (5, 5), "SAME")
    x[1] = 0
    found = fourier_conv((7, 7, 4), kernel.shape, "SAME")(tf.constant(x), tf.constant(kernel))
    assert not found[1].numpy().any()
    assert found[0].numpy().all()


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
def test_so_are_the_derivatives_up_to_the_third(padding, rng):
    x, kernel, upstream = arrays(rng, (7, 6), (5, 5), padding)
    directions = [upstream, rng.uniform(-1, 1, x.shape), rng.uniform(-1, 1, upstream.shape)]
    convolve = fourier_conv((7, 6, 4), kernel.shape, padding)
    ours = derivatives(lambda x: convolve(x, tf.constant(kernel)), tf.constant(x), directions)
    theirs = derivatives(
        lambda x: tf.nn.conv2d(x, kernel.astype("float64"), 1, padding),
        tf.constant(x, tf.float64),
        directions,
    )
    # `directions` have the norms of x and upstream to within a factor of two.
    atol = 2 * bound(np.maximum(np.linalg.norm(x), np.linalg.norm(upstream)), kernel)
    for found, expected in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(found, expected, rtol=0, atol=atol)


def penalty_gradient(convolve, x, kernel):
    """d/dk [l + ||dl/dx||^2] with l = sum tanh(y)."""
    x, kernel = tf.constant(x), tf.constant(kernel)
    with tf.GradientTape() as outer:
        outer.watch(kernel)
        with tf.GradientTape() as inner:
            inner.watch(x)
            total = tf.reduce_sum(tf.tanh(convolve(x, kernel)))
        objective = total + tf.reduce_sum(tf.square(inner.gradient(total, x)))
    return outer.gradient(objective, kernel).numpy()


def test_the_penalty_of_eq_8_has_the_kernel_gradient_of_a_convolution(rng):
    x, kernel, upstream = arrays(rng, (7, 7), (5, 5), "SAME")
    ours = penalty_gradient(fourier_conv((7, 7, 4), kernel.shape, "SAME"), x, kernel)
    exact = penalty_gradient(
        lambda x, kernel: tf.nn.conv2d(x, kernel, 1, "SAME"), x.astype("f8"), kernel.astype("f8")
    )
    # Three operations in a row, the last of which has the input gradient as a factor.
    np.testing.assert_allclose(ours, exact, rtol=0, atol=3 * bound(x, kernel, kernel, upstream))


@pytest.mark.parametrize(
    "size, taps, padding, expected",
    [
        ((14, 14), (5, 5), "SAME", True),  # 4,900 products for 4 x 9 x 16
        ((12, 12), (5, 5), "SAME", True),  # 3,600 for 4 x 8 x 14
        ((14, 14), (3, 3), "SAME", False),  # 1,764 for 4 x 8 x 15
        ((5, 5), (5, 5), "SAME", False),  # 625 for 4 x 4 x 7
        ((14, 14), (5, 5), "VALID", False),  # 2,500 for 4 x 8 x 14
        ((28, 28), (5, 5), "VALID", True),  # 14,400 for 4 x 15 x 28
    ],
)
def test_where_it_saves_products(size, taps, padding, expected):
    assert saves((*size, 32), (*taps, 32, 32), padding) is expected


def test_a_spectrum_that_would_fill_the_memory_does_not_save():
    assert saves((14, 14, 128), (5, 5, 128, 128), "SAME")
    assert not saves((14, 14, 256), (5, 5, 256, 256), "SAME")


def kinds(function, *specs):
    """The operations in a traced function, those in its conditionals included."""
    graph = function.get_concrete_function(*specs).graph.as_graph_def()
    names = {node.op for node in graph.node}
    return names | {node.op for one in graph.library.function for node in one.node_def}


@pytest.fixture
def layer():
    layer = keras.layers.Conv2D(32, 5, padding="same")
    layer.build((None, 14, 14, 32))
    return layer


def applied(layer):
    @tf.function(autograph=False)
    def apply(x):
        return layer.convolution_op(x, tf.cast(layer.kernel, x.dtype))

    return apply


@pytest.mark.parametrize(
    "batch, dtype, transforms, convolutions",
    [
        (MIN_BATCH, "float32", True, False),
        (MIN_BATCH - 1, "float32", False, True),
        (None, "float32", True, True),
        (MIN_BATCH, "bfloat16", False, True),
        (None, "float64", False, True),
    ],
)
def test_which_batches_are_transformed(layer, batch, dtype, transforms, convolutions):
    spec = tf.TensorSpec((batch, 14, 14, 32), dtype)
    with fourier_convolutions(keras.Sequential([layer])):
        found = kinds(applied(layer), spec)
    assert ("BatchMatMulV2" in found) == transforms
    assert ("Conv2D" in found) == convolutions
    assert "BatchMatMulV2" not in kinds(applied(layer), spec)  # outside


def test_a_batch_of_unknown_size_is_computed_either_way(layer, rng):
    x = rng.uniform(-1, 1, (MIN_BATCH, 14, 14, 32)).astype("float32")
    with fourier_convolutions(keras.Sequential([layer])):
        function = applied(layer).get_concrete_function(
            tf.TensorSpec((None, 14, 14, 32), tf.float32)
        )
    whole, few = function(tf.constant(x)), function(tf.constant(x[:2]))
    direct = tf.nn.conv2d(x, layer.kernel, 1, "SAME")
    np.testing.assert_array_equal(few, direct[:2])
    assert np.any(whole != direct)
    np.testing.assert_allclose(
        whole, direct, rtol=0, atol=2 * bound(x[0], np.asarray(layer.kernel))
    )


def test_a_batch_of_unknown_size_has_the_gradients_of_a_convolution_up_to_the_second(layer, rng):
    """As attacks, which drop images from the batch, take them."""
    x = rng.uniform(-1, 1, (MIN_BATCH, 14, 14, 32)).astype("float32")

    def gradients(x):
        with tf.GradientTape() as outer:
            with tf.GradientTape() as inner:
                inner.watch(x)
                total = tf.reduce_sum(tf.sin(layer.convolution_op(x, layer.kernel)))
            first = inner.gradient(total, x)
            penalty = tf.reduce_mean(tf.square(first))
        return first, outer.gradient(penalty, layer.kernel)

    traced = tf.function(gradients, autograph=False)
    with fourier_convolutions(keras.Sequential([layer])):
        traced = traced.get_concrete_function(tf.TensorSpec((None, 14, 14, 32), tf.float32))
    for batch in (MIN_BATCH, 2):
        ours, exact = traced(tf.constant(x[:batch])), gradients(tf.constant(x[:batch]))
        for found, expected in zip(ours, exact, strict=True):
            expected = tf.convert_to_tensor(expected)
            atol = 1e-5 * float(tf.reduce_max(tf.abs(expected)))
            np.testing.assert_allclose(found, expected, rtol=0, atol=atol)


@pytest.mark.parametrize(
    "options",
    [
        {"strides": 2},
        {"dilation_rate": 2},
        {"groups": 2},
        {"filters": 16},
        {"data_format": "channels_first"},
    ],
)
def test_other_layers_stay(options):
    layer = keras.layers.Conv2D(**{"filters": 32, "kernel_size": 5, "padding": "same"} | options)
    layer.build((None, 32, 32, 32))
    with fourier_convolutions(keras.Sequential([layer])):
        assert "convolution_op" not in vars(layer)


def test_small_kernels_keep_their_convolution():
    layer = keras.layers.Conv2D(32, 3, padding="same")
    layer.build((None, 14, 14, 32))
    with fourier_convolutions(keras.Sequential([layer])):
        found = kinds(applied(layer), tf.TensorSpec((64, 14, 14, 32), tf.float32))
    assert "Conv2D" in found
    assert "BatchMatMulV2" not in found


@pytest.mark.parametrize("fused", [False, True])
def test_in_a_training_step_no_gradient_of_the_layer_is_a_convolution(fused, rng):
    net = NETS["mnist_cnn"](image_shape=(28, 28, 1), num_classes=10)
    second = [layer for layer in net.layers if type(layer) is keras.layers.Conv2D][1]
    x = tf.constant(rng.uniform(0, 1, (MIN_BATCH, 28, 28, 1)), tf.float32)

    def gradients():
        with tf.GradientTape() as tape:
            value = tf.reduce_mean(tf.sin(net(x, training=False)))
        return value, tape.gradient(value, [second.kernel, second.bias])

    exact = gradients()
    with fourier_convolutions(net):
        context = fused_kernel_gradients(net) if fused else fourier_convolutions(net)
        with context:
            traced = tf.function(gradients, autograph=False)
            found = traced()
    graph = traced.get_concrete_function().graph
    live = tf.compat.v1.graph_util.extract_sub_graph(
        graph.as_graph_def(), [one.op.name for one in graph.outputs]
    )
    assert sum(one.op.startswith("Conv2D") for one in live.node) == 1  # the first layer's value
    # The whole net in another order of summation: 1e-5 of the largest, as in its other tests.
    for ours, theirs in zip(found[1], exact[1], strict=True):
        theirs = tf.convert_to_tensor(theirs)
        np.testing.assert_allclose(
            ours, theirs, rtol=0, atol=1e-5 * float(tf.reduce_max(tf.abs(theirs)))
        )
    np.testing.assert_allclose(found[0], exact[0], rtol=1e-5)
