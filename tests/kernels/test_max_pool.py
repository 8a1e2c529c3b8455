"""Max pools beside TensorFlow's: values, gradients and second derivatives."""

import numpy as np
import pytest
import tensorflow as tf
from derivatives import derivatives

from mmtf.kernels import max_pool as max_pools
from mmtf.kernels.max_pool import max_pool, xla_max_pool

CPU_SHAPES = [
    (4, 4, 2, 2, "SAME"),
    (5, 7, 2, 2, "SAME"),
    (7, 6, 3, 2, "SAME"),
    (8, 8, 3, 2, "SAME"),
    (8, 7, 3, 2, "VALID"),
    (9, 9, 2, 3, "VALID"),
]
XLA_SHAPES = [
    (4, 4, 2, 2, "SAME"),
    (5, 7, 2, 2, "SAME"),
    (5, 7, 2, 2, "VALID"),
    (7, 9, 3, 3, "SAME"),
    (7, 6, 3, 2, "SAME"),
    (8, 7, 3, 2, "VALID"),
]


def directions_of(layer, x, rng):
    y = layer(x)
    return [tf.constant(rng.normal(0, 1, one.shape), tf.float32) for one in (y, x, y)]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("height, width, size, stride, padding", CPU_SHAPES)
def test_up_to_the_third_derivative_it_is_tensorflows_to_the_bit(
    rng, height, width, size, stride, padding, dtype
):
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
def test_zeros_of_both_signs_are_equal(dtype):
    x = tf.constant([-0.0, 0.0, -1.0, 0.0], dtype, shape=(1, 2, 2, 1))
    direction = tf.constant([1.0, 2.0, 3.0, 4.0], dtype, shape=(1, 2, 2, 1))
    for zero in (-0.0, 0.0):  # which of them a kernel returns as the maximum is not documented
        y = tf.constant([[[[zero]]]], dtype)
        found = max_pools._gather(x, y, direction, (2, 2), (2, 2), "SAME")
        assert float(tf.squeeze(found)) == 1.0


def test_images_of_unknown_size_are_pooled_by_tensorflow(rng):
    x = tf.constant(rng.normal(0, 1, (2, 6, 5, 3)), tf.float32)
    signature = [tf.TensorSpec((None, None, None, 3))]
    pool = tf.function(lambda x: max_pool(x, (2, 2), (2, 2), "SAME"), input_signature=signature)
    np.testing.assert_array_equal(pool(x), tf.nn.max_pool2d(x, 2, 2, "SAME"))


def penalty_derivatives(pool, x, weights, **options):
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
@pytest.mark.parametrize("height, width, size, stride, padding", XLA_SHAPES)
def test_xlas_penalty_gradients_are_tensorflows(
    rng, height, width, size, stride, padding, jit_compile
):
    x = rng.normal(0, 1, (3, height, width, 2)).astype(np.float32)
    x[0, :2, :2] = 1.0  # ties
    x[1, :2, :2] = [[[1.0], [1.001]], [[1.0005], [0.9]]]  # equal when rounded to bfloat16
    window = ((size, size), (stride, stride), padding)
    shape = tf.nn.max_pool2d(x, *window).shape
    weights = rng.normal(0, 1, shape).astype(np.float32)
    theirs = penalty_derivatives(lambda x: tf.nn.max_pool2d(x, *window), x, weights)
    ours = penalty_derivatives(
        lambda x: xla_max_pool(x, *window), x, weights, jit_compile=jit_compile
    )
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("stride", [2, 3])
def test_of_slices_it_keeps_a_nan(stride, jit_compile):
    """A risk that is not finite ends a run; a pool must not hide it.

    Whole windows, as a broken weight leaves them: XLA's maximum on CPUs passes over a single one.
    """
    x = np.zeros((1, 6, 6, 1), np.float32)
    x[0, :3, :3] = np.nan
    pool = tf.function(lambda x: xla_max_pool(x, (3, 3), (stride, stride), "VALID"))
    pool = tf.function(pool, jit_compile=jit_compile)
    assert np.isnan(pool(x)[0, 0, 0, 0])
