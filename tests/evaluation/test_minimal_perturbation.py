"""The smallest perturbation on the way, beside the closed form of a linear model."""

import numpy as np
import pytest
import tensorflow as tf

from mmtf.evaluation.minimal_perturbation import HALVINGS, minimal_distance
from mmtf.threat import ThreatModel


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_linear_boundary_is_found_to_the_bisections_width(norm, linear, rng):
    weights = rng.normal(size=(16, 2)).astype(np.float32)
    classifier, threat = linear(weights, [0.0, 0.0]), ThreatModel(eta=1.0, norm=norm)
    x = rng.uniform(-0.5, 0.5, (40, 4, 4, 1)).astype(np.float32)
    y = np.argmax(classifier(tf.constant(x), training=False), 1)
    margin = (x.reshape(40, 16) @ weights) @ [1.0, -1.0]  # of class 0 over class 1
    across = (weights @ [1.0, -1.0]).reshape(1, 4, 4, 1)
    z = (x - 0.5 * np.sign(margin)[:, None, None, None] * np.sign(across)).astype(np.float32)
    after = (z.reshape(40, 16) @ weights) @ [1.0, -1.0]
    wrong = np.sign(after) != np.sign(margin)
    assert wrong.sum() > 10
    found = minimal_distance(classifier, x, z, y, wrong, threat)
    size = threat.size(z - x)
    exact = size * margin / (margin - after)
    assert np.isnan(found[~wrong]).all()
    # From above, within one step of the bisection; the slack is float32's at the boundary.
    gap = (found - exact)[wrong]
    assert (gap > -1e-4).all() and (gap < size[wrong] / 2**HALVINGS + 1e-4).all()


def test_an_image_that_is_wrong_unmoved_has_distance_0(linear):
    classifier = linear(np.zeros((4, 2), np.float32), [0.0, 1.0])
    x = np.zeros((2, 2, 2, 1), np.float32)
    wrong, y = np.array([True, False]), np.array([0, 1])
    found = minimal_distance(classifier, x, x + 0.3, y, wrong, ThreatModel(eta=0.5))
    assert found[0] == 0.0 and np.isnan(found[1])


def test_nothing_broken_is_nothing_found(linear):
    classifier = linear(np.zeros((4, 2), np.float32), [1.0, 0.0])
    x, y = np.zeros((3, 2, 2, 1), np.float32), np.zeros(3, np.int32)
    found = minimal_distance(classifier, x, x, y, np.zeros(3, bool), ThreatModel(eta=0.5))
    assert np.isnan(found).all()
