"""What attacks share: graphs kept for a classifier, and what a subclass owes."""

import gc
import logging
import weakref

import numpy as np
import pytest
import tensorflow as tf

from mmtf import risks
from mmtf.attacks.base import Attack, compiled, input_gradient
from mmtf.attacks.ifgsm import IFGSM
from mmtf.threat import ThreatModel


def test_a_new_attack_must_say_what_it_does():
    attack = Attack(ThreatModel(eta=0.1))
    with pytest.raises(NotImplementedError, match="Attack must define __call__"):
        attack(None, None, None)


def test_the_input_gradient_of_another_loss(smooth, rng):
    """The margin's gradient on a linear part: central differences agree."""
    x = rng.uniform(-1, 1, (5, 4, 4, 1)).astype(np.float32)
    y = tf.constant([0, 1, 2, 0, 1])
    _, gradient = input_gradient(smooth, tf.constant(x), y, risks.margin)
    step = 1e-2
    for pixel in ((0, 0), (1, 3), (3, 2)):
        up, down = x.copy(), x.copy()
        up[:, pixel[0], pixel[1], 0] += step
        down[:, pixel[0], pixel[1], 0] -= step
        margins = [risks.margin(smooth(one, training=False), y).numpy() for one in (up, down)]
        difference = (margins[0] - margins[1]) / (2 * step)
        # Rounding 1e-7 / step = 1e-5, and the third derivative, of order 10, times step^2 / 6.
        found = gradient.numpy()[:, pixel[0], pixel[1], 0]
        np.testing.assert_allclose(found, difference, rtol=0, atol=1e-3)


def test_a_graph_is_traced_once_for_a_classifier_and_owner(linear):
    traces = []

    def function(classifier, x):
        traces.append(classifier)
        return classifier(x, training=False)

    one, two = linear(np.eye(2)), linear(2 * np.eye(2))
    x = tf.ones([3, 1, 2, 1])
    for _ in range(3):
        np.testing.assert_array_equal(compiled(one, "owner", function)(x), np.ones((3, 2)))
    np.testing.assert_array_equal(compiled(two, "owner", function)(x), 2 * np.ones((3, 2)))
    assert traces == [one, two]
    compiled(one, "another", function)(x)
    assert traces == [one, two, one]


def test_several_classifiers_are_not_told_as_one_function_traced_again(linear, caplog):
    x = tf.ones([3, 1, 2, 1])
    logging.getLogger("tensorflow").addHandler(caplog.handler)
    try:
        for factor in range(8):
            net = linear(factor * np.eye(2))
            step = compiled(net, "owner", lambda model, x: model(x, training=False))
            np.testing.assert_array_equal(step(x), factor * np.ones((3, 2)))
    finally:
        logging.getLogger("tensorflow").removeHandler(caplog.handler)
    assert "retracing" not in caplog.text


def test_a_classifier_can_be_forgotten(linear):
    classifier = linear(np.eye(4)[:, :2])
    x, y = tf.zeros([2, 2, 2, 1]), tf.zeros(2, tf.int32)
    IFGSM(ThreatModel(eta=0.1))(classifier, x, y)
    gone = weakref.ref(classifier)
    del classifier
    gc.collect()
    assert gone() is None


def test_two_attacks_on_one_classifier_do_not_mix(smooth, rng):
    x = tf.constant(rng.uniform(-0.5, 0.5, (9, 4, 4, 1)), tf.float32)
    y = tf.argmax(smooth(x, training=False), 1)
    sizes = []
    for eta in (0.01, 0.02):  # too small for any example to fall: each goes to its own corner
        z = IFGSM(ThreatModel(eta=eta), steps=3)(smooth, x, y)
        assert (tf.argmax(smooth(z, training=False), 1) == y).numpy().mean() > 0.8
        sizes.append(np.abs(z - x).max())
    np.testing.assert_allclose(sizes, [0.01, 0.02], rtol=1e-4)
