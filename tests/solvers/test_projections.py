"""Projections against their definition: the nearest point of the set."""

import numpy as np
import pytest
import tensorflow as tf

from mmtf.solvers import Box, L2Ball, SoftThreshold


def tensors(seed, scale=1.0):
    rng = np.random.default_rng(seed)
    return [tf.constant(scale * rng.normal(size=shape)) for shape in [(3, 2), (4,)]]


def flat(tensors):
    return np.concatenate([np.ravel(x) for x in tensors])


def test_box_clips_every_entry():
    x = tensors(0)
    np.testing.assert_array_equal(flat(Box(-0.5, 0.25)(x)), np.clip(flat(x), -0.5, 0.25))


def test_ball_scales_what_is_outside_and_keeps_what_is_inside():
    outside, inside = tensors(1), tensors(2, scale=1e-3)
    np.testing.assert_allclose(
        flat(L2Ball(0.5)(outside)), 0.5 * flat(outside) / np.linalg.norm(flat(outside)), rtol=1e-14
    )
    np.testing.assert_array_equal(flat(L2Ball(0.5)(inside)), flat(inside))


def test_ball_is_differentiable_at_its_center():
    x = tf.zeros([3])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(L2Ball(1.0)([x])[0])
    np.testing.assert_array_equal(tape.gradient(y, x), np.ones(3))


def test_soft_threshold_minimizes_its_objective():
    grid = np.linspace(-3, 3, 60001)
    for x in (-2.0, -0.3, 0.0, 0.7, 1.4):
        objective = 0.5 * np.abs(grid) + 0.5 * (grid - x) ** 2
        (got,) = SoftThreshold(0.5)([tf.constant(x, tf.float64)])
        assert abs(float(got) - grid[np.argmin(objective)]) < 1e-4  # the grid's width


@pytest.mark.parametrize("projection", [Box(-0.5, 0.5), L2Ball(0.5)])
def test_projecting_twice_is_projecting_once(projection):
    once = projection(tensors(3))
    np.testing.assert_allclose(flat(projection(once)), flat(once), rtol=1e-14)


@pytest.mark.parametrize(
    "make", [lambda: Box(1.0, -1.0), lambda: L2Ball(0.0), lambda: SoftThreshold(-1.0)]
)
def test_refuses_empty_sets(make):
    with pytest.raises(ValueError, match=r"Expected .* Received"):
        make()
