"""Classifiers that reject in evaluations: both conventions, from the cell to the text."""

import numpy as np
import pytest
import tensorflow as tf

from mmtf.attacks import ATTACKS
from mmtf.attacks.base import Attack
from mmtf.classifiers.classifier import Classifier
from mmtf.evaluation import misclassified
from mmtf.evaluation.options import EvalOptions
from mmtf.evaluation.payoff import attack_classifier
from mmtf.evaluation.verdict import accepted
from mmtf.reports.rejection import rejection_lines
from mmtf.threat import ThreatModel


class HalfOpen(Classifier):
    """Predicts class 0 for all; rejects images whose first pixel is positive."""

    rejects = True
    fingerprint = "half open"

    def __init__(self):
        super().__init__(self.logits)

    def logits(self, x, training=False):
        total = tf.reduce_sum(x, [1, 2, 3])
        return tf.stack([0 * total + 5, 0 * total, 0 * total], 1)

    def rejection(self, x):
        return x[:, 0, 0]

    def at(self, precision):
        return self


@pytest.fixture
def data(make_dataset):
    """Four test images; the second and the third have a positive first pixel."""
    images = np.zeros([4, 2, 3, 1], np.float32)
    images[:, 0, 0, 0] = [-0.5, 0.5, 0.5, -0.5]
    return make_dataset(test_images=images, test_labels=np.array([0, 0, 1, 2]), num_classes=3)


def test_a_rejected_image_is_right_and_wrong(data, tmp_path):
    classifier, threat = HalfOpen(), ThreatModel(eta=0.1)
    x, y = data.test()
    assert accepted(classifier, x).tolist() == [True, False, False, True]
    assert accepted(classifier.logits, x) is None
    assert misclassified(classifier.logits, x, y).tolist() == [False, False, True, True]
    assert misclassified(classifier, x, y).tolist() == [False, False, False, True]
    options = EvalOptions(cache_dir=str(tmp_path))
    for _ in range(2):  # measured, and from the cache
        none, worst = attack_classifier(
            classifier, {"none": ATTACKS["none"](threat)}, data, options
        )
        for found in (none, worst):
            assert found.wrong.tolist() == [False, False, False, True]
            assert found.failed.tolist() == [False, True, True, True]
    told = {**none.to_dict(), "defense": "half", "eta": 0.1}
    (line,) = rejection_lines({"cells": [told]}, 0.1)
    assert line.startswith("half rejects 50.0 % under none; if that counts as wrong, its error is ")
    assert "0.7500 (25.0 %)" in line


class Darken(Attack):
    """Lowers every pixel by eta."""

    def run(self, classifier, x, labels, seed):
        return self.threat.project(x - self.threat.eta, x)


def test_worst_counts_the_rejection_of_the_image_itself(data):
    """Darker images are accepted, whose unperturbed ones were not; `none` need not be there."""
    threat = ThreatModel(eta=0.6)
    dark = {"dark": Darken(threat)}
    alone = attack_classifier(HalfOpen(), dark, data)
    beside = attack_classifier(HalfOpen(), {"none": ATTACKS["none"](threat), **dark}, data)
    assert alone[0].accepted.all()
    for *_, worst in (alone, beside):
        assert worst.failed.tolist() == [False, True, True, True]
        assert worst.wrong.tolist() == [False, False, True, True]


def test_a_target_is_not_reached_by_a_rejected_image(data):
    """All images are classified as 0, the target; one of the two of other classes is accepted."""
    attack = ATTACKS["fgsm"](ThreatModel(eta=0.1), target=0)
    found = attack_classifier(HalfOpen(), {"fgsm": attack}, data)[0]
    assert found.reached[found.aimed].tolist() == [False, True]
