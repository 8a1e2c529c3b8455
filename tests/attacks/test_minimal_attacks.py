"""DeepFool and Carlini-Wagner: the smallest perturbation of models with known answers."""

import numpy as np
import pytest
import tensorflow as tf

from mmtf.attacks.carlini_wagner import CarliniWagner
from mmtf.attacks.deepfool import DeepFool
from mmtf.attacks.iterated import PGD
from mmtf.errors import ConfigError
from mmtf.threat import ThreatModel


@pytest.fixture
def problem(linear, rng):
    """A linear model of three classes: the distance to its boundaries in closed form."""
    weights = rng.normal(0, 1, (16, 3))
    classifier = linear(weights, [0.3, 0.0, -0.2])
    x = rng.uniform(-0.5, 0.5, (30, 4, 4, 1)).astype(np.float32)
    logits = classifier.logits64(x)
    y = logits.argmax(1)
    own = logits[np.arange(30), y]
    distances = {"linf": [], "l2": []}
    for i in range(30):
        others = [k for k in range(3) if k != y[i]]
        gaps = [own[i] - logits[i, k] for k in others]
        normals = [weights[:, k] - weights[:, y[i]] for k in others]
        pairs = list(zip(gaps, normals, strict=True))
        distances["linf"].append(min(gap / np.abs(w).sum() for gap, w in pairs))
        distances["l2"].append(min(gap / np.linalg.norm(w) for gap, w in pairs))
    return classifier, tf.constant(x), tf.constant(y, tf.int32), distances


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_deepfool_solves_a_linear_model_in_one_step(norm, problem):
    classifier, x, y, distances = problem
    threat = ThreatModel(eta=10.0, norm=norm, box=(-100.0, 100.0))
    z = DeepFool(threat, steps=1, overshoot=0.0)(classifier, x, y)
    assert (np.argmax(classifier(z, training=False), 1) != y.numpy()).all()
    # 1e-4 of the distance and 1e-6 beyond it, and float32 sums of 16 terms.
    np.testing.assert_allclose(threat.size(z - x), distances[norm], rtol=2e-4, atol=5e-6)


@pytest.fixture
def wide(linear, rng):
    """A linear model of 30 classes whose unlikely classes have steep logits, so near boundaries."""
    scale, bias = np.full(30, 5.0), np.full(30, -14.0)
    scale[:12], bias[:12] = 0.1, -np.arange(12)
    scale[6] = 3.0
    weights = rng.normal(0, 1, (16, 30)) * scale
    classifier = linear(weights, bias)
    x = rng.uniform(-0.5, 0.5, (40, 4, 4, 1)).astype(np.float32)
    return classifier, x, classifier.logits64(x)


def least_distances(weights, logits, norm, candidates):
    """Distance to the nearest boundary of the likeliest classes, in closed form, float64."""
    order = {"linf": 1, "l2": 2}[norm]
    found = []
    for row in logits:
        own, *others = np.argsort(-row)[:candidates]
        gaps = [row[own] - row[k] for k in others]
        sizes = [np.linalg.norm(weights[:, k] - weights[:, own], order) for k in others]
        found.append(min(np.array(gaps) / sizes))
    return np.array(found)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_deepfool_considers_the_likeliest_classes(norm, wide):
    """The true class and the 9 others of the largest logits by default; None: all classes."""
    classifier, x, logits = wide
    y = tf.constant(logits.argmax(1), tf.int32)
    threat = ThreatModel(eta=10.0, norm=norm, box=(-100.0, 100.0))
    weights = classifier.weights.astype(np.float64)
    sizes = {}
    for given, candidates in ({}, 10), ({"candidates": 4}, 4), ({"candidates": None}, 30):
        z = DeepFool(threat, steps=1, overshoot=0.0, **given)(classifier, x, y)
        sizes[candidates] = threat.size(z - x)
        expected = least_distances(weights, logits, norm, candidates)
        # 1e-4 of the distance and 1e-6 beyond it, and float32 sums of 16 terms.
        np.testing.assert_allclose(sizes[candidates], expected, rtol=2e-4, atol=1e-5)
    assert (sizes[30] < 0.95 * sizes[10]).any() and (sizes[10] < 0.95 * sizes[4]).any()


@pytest.mark.parametrize("candidates", [3, 10, None])
def test_deepfool_of_all_classes_whatever_names_them(candidates, smooth, rng):
    """At least as many candidates as classes are all of them, bit by bit."""
    x = tf.constant(rng.uniform(-1, 1, (20, 4, 4, 1)), tf.float32)
    y = tf.argmax(smooth(x, training=False), 1)
    threat = ThreatModel(eta=0.1)
    one = DeepFool(threat, steps=3, candidates=candidates)(smooth, x, y)
    np.testing.assert_array_equal(one, DeepFool(threat, steps=3)(smooth, x, y))
    graph = tf.function(DeepFool(threat, steps=3, candidates=candidates), autograph=False)
    np.testing.assert_allclose(graph(smooth, x, y), one, rtol=0, atol=1e-6)


@pytest.mark.parametrize("candidates", [10, None])
def test_the_graph_of_deepfool_does_not_grow_with_the_classes(candidates, linear, rng):
    def operations(classes):
        classifier = linear(rng.normal(0, 1, (16, classes)))
        attack = DeepFool(ThreatModel(eta=0.1), steps=1, candidates=candidates)
        traced = tf.function(lambda x, y: attack(classifier, x, y), autograph=False)
        x, y = tf.zeros([2, 4, 4, 1]), tf.zeros([2], tf.int32)
        made = traced.get_concrete_function(x, y).graph.as_graph_def()
        inside = sum(len(one.node_def) for one in made.library.function)
        return len(made.node) + inside

    assert operations(3) == operations(12) == operations(200)


def test_deepfool_covers_the_overshoot_once():
    """Later steps start where the answer so far lies, as in the authors' code."""

    def classifier(x, training):
        gap = tf.math.log(x[:, :, 0, 0] + 2.0) - np.log(3.0)  # concave, crosses 0 at x = 1
        return tf.concat([tf.zeros_like(gap), gap], 1)

    overshoot, moved = 0.1, 0.0
    for _ in range(10):
        at = (1 + overshoot) * moved
        if at > 1:
            break
        moved += (np.log(3.0) - np.log(at + 2.0)) * (at + 2.0)
    threat = ThreatModel(eta=10.0, norm="l2", box=(-1.0, 5.0))
    z = DeepFool(threat, overshoot=overshoot)(classifier, tf.zeros([1, 1, 1, 1]), [0])
    # Each of a few steps goes 1e-4 of itself and 1e-6 too far.
    np.testing.assert_allclose(float(z[0, 0, 0, 0]), (1 + overshoot) * moved, rtol=2e-4)


def test_carlini_wagner_comes_near_the_least_distance(problem):
    classifier, x, y, distances = problem
    threat = ThreatModel(eta=10.0, norm="l2")
    z = CarliniWagner(threat, steps=300, searches=8, learning_rate=0.02)(classifier, x, y)
    assert (np.argmax(classifier(z, training=False), 1) != y.numpy()).all()
    ratio = threat.size(z - x) / np.asarray(distances["l2"])
    # Never below the least distance but by float32; Adam's steps leave some per cent above it.
    assert ratio.min() > 1 - 1e-3 and np.median(ratio) < 1.05 and ratio.max() < 1.5


@pytest.mark.parametrize("attack", [DeepFool, CarliniWagner])
def test_what_is_wrong_already_is_left_as_it_is(attack, problem):
    classifier, x, y, _ = problem
    threat = ThreatModel(eta=0.5, norm="l2")
    np.testing.assert_array_equal(attack(threat, steps=2)(classifier, x, (y + 1) % 3), x)


def test_the_margin_inside_pgd_moves_where_the_cross_entropy_is_flat(linear):
    """Carlini & Wagner's loss for linf: logits so far apart that softmax's gradient underflows."""
    weights = np.zeros((4, 2), np.float32)
    weights[:, 1] = 1000.0
    classifier = linear(weights, [0.0, -390.0])  # four pixels of 0.1 give 400
    x, y = tf.zeros([1, 2, 2, 1]), tf.zeros(1, tf.int32)
    fallen = {}
    for loss in ("cross_entropy", "margin"):
        attack = PGD(ThreatModel(eta=0.1), steps=5, loss=loss)
        attack.start = lambda x, seed: x
        z = attack(classifier, x, y)
        fallen[loss] = bool(np.argmax(classifier(z, training=False)) == 1)
    assert fallen == {"cross_entropy": False, "margin": True}


@pytest.mark.parametrize(
    "attack, options",
    [
        (DeepFool, {"steps": 0}),
        (DeepFool, {"overshoot": -0.1}),
        (DeepFool, {"candidates": 1}),
        (CarliniWagner, {"searches": 0}),
        (CarliniWagner, {"initial_c": 0.0}),
        (CarliniWagner, {"confidence": -1.0}),
    ],
)
def test_impossible_settings_are_refused(attack, options):
    with pytest.raises(ConfigError):
        attack(ThreatModel(eta=0.1, norm="l2"), **options)
