"""The selective attack on rules with known answers."""

import numpy as np
import pytest
import tensorflow as tf

from mmtf.attacks.eot import mean_of
from mmtf.attacks.iterated import PGD
from mmtf.attacks.selective import Selective
from mmtf.classifiers.classifier import Classifier
from mmtf.evaluation import measure
from mmtf.evaluation.attack_specs import make_attacks
from mmtf.threat import ThreatModel

THREAT = ThreatModel(eta=0.6)
X = np.zeros([1, 1, 2, 1], np.float32)
Y = np.zeros([1], np.int32)


class Fenced(Classifier):
    """Two pixels a and b: wrong where a + b > needed, rejected where |b| > 0.1."""

    rejects = True

    def __init__(self, needed):
        super().__init__(self.logits)
        self.needed = needed

    def logits(self, x, training=False):
        total = tf.reduce_sum(x, [1, 2, 3])
        return tf.stack([tf.fill(tf.shape(total), self.needed), total], 1)

    def rejection(self, x):
        return (tf.abs(x[:, 0, 1]) - 0.1) / 0.1

    def at(self, precision):
        return self


def test_it_finds_what_plain_pgd_does_not():
    """Wrong and accepted only with a > 0.55 and b in (0.65 - a, 0.1]."""
    classifier = Fenced(0.65)
    plain = measure(classifier, PGD(THREAT, stop_early=False), X, Y, name="pgd")
    assert (plain.wrong.tolist(), plain.accepted.tolist()) == ([False], [False])
    found = measure(classifier, Selective(THREAT, steps=60), X, Y, name="selective", keep=1)
    assert (found.wrong.tolist(), found.accepted.tolist()) == ([True], [True])
    a, b = found.images[0].ravel()
    assert abs(b) <= 0.1 and a + b > 0.65


def test_the_mean_of_a_classifier_has_its_rules():
    classifier = Fenced(0.65)
    mean = mean_of(classifier, 2)
    assert mean.rejects and mean.at("float32") is mean and not mean_of(classifier.logits, 2).rejects
    z = tf.constant([[0.4, 0.0], [0.2, 0.4]], shape=[2, 1, 2, 1])
    np.testing.assert_array_equal(mean.rejection(z), classifier.rejection(z))
    averaged = make_attacks({"selective": {"steps": 60}}, THREAT, eot_samples=2)["selective"]
    found = measure(classifier, averaged, X, Y, name="selective")
    assert (found.wrong.tolist(), found.accepted.tolist()) == ([True], [True])


def test_it_claims_nothing_where_nothing_can_be_found():
    """a + b <= 0.6 + 0.1 for every accepted image: whatever is wrong is rejected."""
    for early in (True, False):
        attack = Selective(THREAT, steps=60, stop_early=early)
        found = measure(Fenced(0.72), attack, X, Y, name="selective")
        assert found.error == 0.0


def test_all_steps_give_the_accepted_image_of_the_largest_margin():
    found = measure(Fenced(0.3), Selective(THREAT, steps=200, stop_early=False), X, Y, name="s",
                    keep=1)  # fmt: skip
    a, b = found.images[0].ravel()
    # The largest is 0.6 + 0.1. Near the threshold steps cross it until they are short.
    assert found.accepted[0] and 0.66 < a + b <= 0.7 + 1e-6
    clear = Selective(THREAT, steps=200, stop_early=False, clearance=0.5)
    found = measure(Fenced(0.3), clear, X, Y, name="s", keep=1)
    a, b = found.images[0].ravel()
    assert abs(b) <= 0.05 + 1e-6 and a + b > 0.61


def test_success_is_misclassified_and_accepted():
    classifier, attack = Fenced(0.3), Selective(THREAT)
    z = tf.constant([[0.4, 0.0], [0.2, 0.4], [0.1, 0.0]], shape=[3, 1, 2, 1])
    won = attack.succeeds(classifier, z, tf.zeros([3], tf.int32))
    assert won.numpy().tolist() == [True, False, False]


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_without_rules_it_maximizes_the_margin(linear, rng, norm):
    """Of a linear model of two classes the largest change of the margin in a ball is known."""
    weights = rng.uniform(0.5, 1.5, (16, 2)).astype(np.float32)
    weights[:, 1] = -weights[:, 1]
    difference = (weights[:, 1] - weights[:, 0]).astype(np.float64)
    threat = ThreatModel(eta=0.5, norm=norm)
    dual = {"linf": np.abs(difference).sum(), "l2": np.linalg.norm(difference)}
    gain = 0.5 * dual.get(norm, np.abs(difference).max())
    x, y = np.zeros([1, 4, 4, 1], np.float32), np.zeros([1], np.int32)
    for share, wrong in ((0.97 if norm != "l1" else 0.8, True), (1.01, False)):
        classifier = linear(weights, [share * gain, 0.0])
        found = measure(classifier, Selective(threat, steps=100), x, y, name="selective")
        assert found.wrong.tolist() == [wrong]
