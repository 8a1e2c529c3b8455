"""The stated solutions of the test surfaces, recomputed on a fine grid."""

import numpy as np
import pytest
import tensorflow as tf

from mmtf.solvers.surfaces import HIGH, LOW, SURFACES

# Odd, and 1/4 on it: u and v in steps of 1/2000.
GRID = np.linspace(LOW, HIGH, 2001)


def values(surface):
    return surface.f(tf.constant(GRID[:, None]), tf.constant(GRID[None, :])).numpy()


@pytest.mark.parametrize("name", SURFACES)
def test_minimax_value_and_all_minimizers(name):
    surface = SURFACES[name]
    worst = values(surface).max(axis=1)
    assert abs(worst.min() - surface.value) < 1e-12
    minimizers = GRID[worst < worst.min() + 1e-12]
    np.testing.assert_allclose(minimizers, surface.u_star, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", SURFACES)
def test_whether_it_is_a_saddle_point(name):
    surface = SURFACES[name]
    maximin = values(surface).min(axis=0).max()
    assert (surface.value - maximin < 1e-12) == surface.saddle


def test_the_weapons_value_is_minus_1_834():
    assert round(SURFACES["weapons"].value, 3) == -1.834


def test_the_maximizers_of_the_anti_saddle_are_both_ends():
    at_zero = values(SURFACES["anti-saddle"])[1000]
    np.testing.assert_array_equal(GRID[at_zero == at_zero.max()], [-0.5, 0.5])


def test_distance_is_to_the_nearest_minimizer():
    distance = SURFACES["monkey saddle"].distance(tf.constant([[0.5, -0.2]]))
    np.testing.assert_allclose(distance, [[0.25, 0.05]], atol=1e-7)
