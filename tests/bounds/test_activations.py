"""Lines and intervals of activations enclose them; their lines are the known closed forms."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmtf.bounds.activations import LeakyReLU, Smooth
from mmtf.bounds.functions import FUNCTIONS, clipped, single
from mmtf.bounds.pooling import Maximum

KNOWN = {function.__name__: (function, one) for function, one in FUNCTIONS.items() if one}
KNOWN["clipped"] = (lambda z: tf.clip_by_value(z, 0, 2), clipped(0.0, 2.0))
KNOWN["leaky"] = (lambda z: keras.ops.leaky_relu(z, 0.7), LeakyReLU(single(0.7)))


def intervals():
    """Many intervals: wide, narrow, of one point, on both sides of 0 and of the kinks."""
    ends = np.array([-30, -6, -3, -1.3, -1, -0.75, -0.2, -1e-7, 0, 1e-7, 0.1, 1, 2, 3, 5, 6, 30.0])
    low, high = np.meshgrid(ends, ends)
    return low[low <= high], high[low <= high]


@pytest.mark.parametrize("name", KNOWN)
def test_lines_and_intervals_enclose_the_function(name):
    function, activation = KNOWN[name]
    low, high = intervals()
    lines = activation.lines(tf.constant(low), tf.constant(high))
    least, most = activation.interval((tf.constant(low), tf.constant(high)))
    z = low + (high - low) * np.linspace(0, 1, 1001)[:, None]
    value = function(tf.constant(z)).numpy()
    # Values are at most 30, of which some roundings of 1e-16 relative are allowed.
    slack = 1e-13
    assert (lines.lower_slope * z + lines.lower_intercept <= value + slack).numpy().all()
    assert (lines.upper_slope * z + lines.upper_intercept >= value - slack).numpy().all()
    assert (least <= value + slack).numpy().all() and (most >= value - slack).numpy().all()
    # The interval is tight: both ends are attained, to the distance of the points.
    assert (least >= value.min(0) - 2e-3).numpy().all()
    assert (most <= value.max(0) + 2e-3).numpy().all()
    np.testing.assert_allclose(activation.forward(tf.constant(z)), value, atol=1e-12)


def test_the_lines_of_a_relu_are_crowns():
    low, high = tf.constant([-1.0, -3.0, 1.0, -2.0]), tf.constant([3.0, 1.0, 2.0, -1.0])
    lines = LeakyReLU().lines(low, high)
    assert lines.lower_slope.numpy().tolist() == [1, 0, 1, 0]  # adaptive
    assert lines.lower_intercept.numpy().tolist() == [0, 0, 0, 0]
    assert lines.upper_slope.numpy().tolist() == [0.75, 0.25, 1, 0]
    assert lines.upper_intercept.numpy().tolist() == [0.75, 0.75, 0, 0]


@pytest.mark.parametrize(
    "name", [name for name, (_, one) in KNOWN.items() if isinstance(one, Smooth)]
)
def test_minimizer_and_curvature(name):
    function, activation = KNOWN[name]
    z = tf.constant(np.linspace(-8, 8, 100_001))
    with tf.GradientTape() as outer:
        outer.watch(z)
        with tf.GradientTape() as inner:
            inner.watch(z)
            value = function(z)
        first = inner.gradient(value, z)
    second = outer.gradient(first, z).numpy()
    assert np.abs(second).max() <= activation.curvature
    assert z.numpy()[value.numpy().argmin()] == pytest.approx(activation.minimizer, abs=1e-4)
    # It falls before the minimizer and rises afterwards.
    assert (np.sign(first) == np.sign(z - activation.minimizer))[np.abs(first) > 1e-9].all()


@pytest.mark.parametrize("count", [1, 2, 4])
def test_maximum(count, rng):
    low = rng.normal(size=(500, count))
    high = low + rng.uniform(0, 1.5, size=(500, count))
    lines = Maximum().lines(tf.constant(low), tf.constant(high))
    least, most = Maximum().interval((tf.constant(low), tf.constant(high)))
    np.testing.assert_array_equal(least, low.max(1))
    np.testing.assert_array_equal(most, high.max(1))
    corners = rng.integers(0, 2, (300, 500, count))
    for share in (corners, rng.uniform(size=corners.shape)):
        z = low + share * (high - low)
        lower = (lines.lower_slope * z).numpy().sum(-1) + lines.lower_intercept
        upper = (lines.upper_slope * z).numpy().sum(-1) + lines.upper_intercept
        assert (lower.numpy() <= z.max(-1) + 1e-13).all()
        assert (upper.numpy() >= z.max(-1) - 1e-13).all()
    if count == 1:
        assert not Maximum().loose(tf.constant(low), tf.constant(high)).numpy().any()
