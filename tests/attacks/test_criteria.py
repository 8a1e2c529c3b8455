"""Targets: which class they are, in which direction a linear model is moved, when it is enough."""

import numpy as np
import pytest
import tensorflow as tf

from mmtf.attacks import ATTACKS
from mmtf.attacks.criteria import Criterion
from mmtf.errors import ConfigError
from mmtf.losses import dlr_to_target
from mmtf.threat import ThreatModel

LINF, L2 = ThreatModel(eta=0.4), ThreatModel(eta=2.0, norm="l2", box=(-9.0, 9.0))
SHAPE = (2, 2, 1)
# Class 1 begins at x_0 = 0.5, class 2, which lies nearer, at x_1 = 0.2.
CORNER = np.array([[0, 1, 0], [0, 0, 1], [0, 0, 0], [0, 0, 0]], np.float32)
BIAS = [0.0, -0.5, -0.2]


@pytest.fixture
def three(rng, linear):
    return linear(rng.normal(0, 1, (4, 3)), rng.normal(0, 0.1, 3))


@pytest.fixture
def batch(rng):
    x = rng.uniform(-1, 1, (40, *SHAPE)).astype(np.float32)
    return tf.constant(x), tf.constant(rng.integers(0, 3, 40), tf.int32)


def test_the_least_likely_wrong_class(three, batch):
    x, y = batch
    logits = three.logits64(x)
    logits[np.arange(40), y] = np.inf
    labels = Criterion("least_likely").labels(three, x, y, (0, 0))
    np.testing.assert_array_equal(labels, logits.argmin(1))
    assert labels.dtype == y.dtype


def test_random_targets_are_wrong_seeded_and_even(three):
    x, y = tf.zeros([3000, *SHAPE]), tf.repeat(tf.range(3), 1000)
    draws = [Criterion("random").labels(three, x, y, seed) for seed in ((0, 1), (0, 1), (0, 2))]
    first, again, other = draws
    np.testing.assert_array_equal(first, again)
    assert (first != y).numpy().all() and (first != other).numpy().any()
    # 1000 fair draws of one of two wrong classes: 4 sigma are 4 sqrt(1000) / 2 = 64.
    for own in range(3):
        counts = np.bincount(first[1000 * own : 1000 * (own + 1)], minlength=3)
        assert abs(counts[(own + 1) % 3] - 500) < 64


def test_fgsm_descends_the_cross_entropy_to_the_target(three, batch):
    x, y = batch
    logits = three.logits64(x)
    softmax = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    rising = softmax @ three.weights.T.astype(np.float64) - three.weights[:, 2]
    expected = np.clip(x - 0.4 * np.sign(rising.reshape(x.shape)), -1, 1)
    expected[y == 2] = x.numpy()[y == 2]
    z = ATTACKS["fgsm"](LINF, target=2)(three, x, y)
    np.testing.assert_allclose(z, expected, rtol=0, atol=2e-7)


@pytest.mark.parametrize(
    "name, threat, options",
    [
        ("fgsm", LINF, {}),
        ("fgm", ThreatModel(eta=0.6, norm="l2"), {}),
        ("ifgsm", LINF, {"steps": 6, "stop_early": False}),
        ("pgd", ThreatModel(eta=0.6, norm="l2"), {"steps": 6, "stop_early": False}),
    ],
)
def test_with_two_classes_the_other_one_is_the_only_goal(name, threat, options, linear, batch, rng):
    two = linear(rng.normal(0, 1, (4, 2)))
    x, y = batch[0], batch[1] % 2
    z = ATTACKS[name](threat, **options)(two, x, y)
    aimed = ATTACKS[name](threat, **options, target="least_likely")(two, x, y)
    # One and the same gradient, computed from two logits in another order.
    np.testing.assert_allclose(aimed, z, rtol=0, atol=2e-5)


GRADIENTS = [
    ("ifgsm", LINF, {"steps": 40}),
    ("pgd", LINF, {"steps": 40, "loss": "margin", "restarts": 3}),
    ("pgd", ThreatModel(eta=0.8, norm="l2"), {"steps": 40}),
    ("apgd", LINF, {"steps": 30}),
    ("apgd", ThreatModel(eta=0.8, norm="l2"), {"steps": 30, "loss": "margin"}),
    ("square", LINF, {"steps": 300}),
]


@pytest.mark.parametrize("name, threat, options", GRADIENTS)
def test_another_wrong_class_is_not_enough(name, threat, options, linear):
    """From 0.15 on both axes: class 2 is nearer, and would end an untargeted attack."""
    classifier = linear(CORNER, BIAS)
    x = tf.constant(np.full((4, *SHAPE), 0.15, np.float32))
    y = tf.zeros(4, tf.int32)
    for target in (1, 2):
        z = ATTACKS[name](threat, **options, target=target)(classifier, x, y)
        assert (np.argmax(classifier(z, training=False), 1) == target).all()


def test_what_is_already_the_target_and_whose_own_class_it_is_are_left(linear):
    classifier = linear(CORNER, BIAS)
    x = tf.constant([[0.8, 0, 0, 0], [0.8, 0, 0, 0], [0, 0.6, 0, 0]])
    x, y = tf.reshape(x, [3, *SHAPE]), tf.constant([0, 1, 1])
    assert np.argmax(classifier(x, training=False), 1).tolist() == [1, 1, 2]
    for name, threat, options in [*GRADIENTS, ("fgsm", LINF, {}), ("carlini_wagner", L2, {})]:
        z = ATTACKS[name](threat, **options, target=1)(classifier, x, y).numpy()
        np.testing.assert_array_equal(z[1:], x[1:])  # misclassified or not: its class is the target
        if name in ("apgd", "square", "carlini_wagner", "ifgsm"):  # they judge the clean image
            np.testing.assert_array_equal(z[0], x[0])


@pytest.mark.parametrize("target, distance", [(None, 0.2), (1, 0.5), (2, 0.2)])
def test_carlini_wagner_comes_near_the_targets_distance(target, distance, linear):
    attack = ATTACKS["carlini_wagner"](L2, steps=300, searches=8, learning_rate=0.02, target=target)
    z = attack(linear(CORNER, BIAS), tf.zeros([2, *SHAPE]), tf.zeros(2, tf.int32))
    ratio = np.sqrt(np.square(z).sum((1, 2, 3))) / distance
    # Never nearer than the boundary but by float32; Adam's steps leave some per cent.
    assert ratio.min() > 1 - 1e-3 and ratio.max() < 1.1


def test_confidence_is_kept_for_a_target(linear):
    classifier = linear(CORNER, BIAS)
    attack = ATTACKS["carlini_wagner"](L2, confidence=0.3, target=1)
    z = attack(classifier, tf.zeros([1, *SHAPE]), tf.zeros(1, tf.int32))
    logits = classifier.logits64(z)[0]
    assert logits[1] - max(logits[0], logits[2]) > 0.3


def test_confidence_is_kept_where_the_image_is_just_wrong(linear):
    """What transfers is the margin: an image on the wrong side by less is moved on."""
    classifier = linear(CORNER, BIAS)
    x, y = tf.zeros([1, *SHAPE]), tf.constant([1])
    clean = classifier.logits64(x)[0]
    assert 0 < clean.max() - clean[1] < 0.7
    for confidence in (0.0, 0.7):
        z = ATTACKS["carlini_wagner"](L2, confidence=confidence)(classifier, x, y)
        logits = classifier.logits64(z)[0]
        assert max(logits[0], logits[2]) - logits[1] > confidence
        assert bool((z.numpy() == x.numpy()).all()) == (confidence == 0.0)


def test_targets_that_cannot_be_are_refused(three, batch):
    for target in ("nearest", -1, True, 1.0):
        with pytest.raises(ConfigError, match="Expected target None, 'least_likely', 'random' or"):
            ATTACKS["fgsm"](LINF, target=target)
    message = "Expected a target below 3, the number of classes. Received: 3"
    with pytest.raises(ConfigError, match=message):
        ATTACKS["pgd"](LINF, target=3)(three, *batch)
    for name, threat in (("fgsm", LINF), ("square", LINF), ("carlini_wagner", L2)):
        with pytest.raises(ConfigError, match="a target below 3, .* Received: 99"):
            ATTACKS[name](threat, target=99).supports(three, batch[0])  # before any cell


def test_dlr_with_a_target(linear):
    """Four classes; -Eq. 6 would be flat where the target is third."""
    logits = tf.constant([[4.0, 1.0, 3.0, 0.0, 2.0]])
    # sorted 4 3 2 1 0; class 2 has 3 against 4.
    assert float(dlr_to_target(logits, [2])[0]) == pytest.approx((3 - 4) / (4 - 1.5))
    assert float(dlr_to_target(logits, [0])[0]) == pytest.approx((4 - 3) / (4 - 1.5))
    wide = linear(np.eye(4), [0.2, 0.1, 0.0, -0.1])
    x, y = tf.zeros([2, *SHAPE]), tf.zeros(2, tf.int32)
    for name in ("apgd", "pgd"):
        z = ATTACKS[name](LINF, steps=20, loss="dlr", target=2)(wide, x, y)
        assert (np.argmax(wide(z, training=False), 1) == 2).all()


@pytest.mark.parametrize(
    "name, options, classes, needed",
    [
        ("apgd", {"loss": "dlr"}, 2, "3 classes for the loss dlr"),
        ("pgd", {"loss": "dlr"}, 2, "3 classes for the loss dlr"),
        ("apgd_targeted", {}, 2, "3 classes for the loss targeted_dlr"),
        ("apgd", {"loss": "dlr", "target": 1}, 3, "4 classes for the loss dlr with a target"),
    ],
)
def test_too_few_classes_are_told_in_one_line_before_a_step_is_compiled(
    name, options, classes, needed, linear
):
    classifier, calls = linear(np.ones((4, classes))), []

    def noting(x, training):
        calls.append(tf.executing_eagerly())
        return classifier(x, training=training)

    attack = ATTACKS[name](LINF, **options)
    message = f"Expected at least {needed}. Received: {classes}. Use the "
    message += "loss cross_entropy, or one of the attacks apgd, fab and square."
    with pytest.raises(ConfigError) as raised:
        attack(noting, tf.zeros([2, *SHAPE]), tf.zeros(2, tf.int32))
    assert str(raised.value) == message
    assert all(calls)
