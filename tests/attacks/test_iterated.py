"""Projected ascent against an explicit loop; which iterate is kept."""

import numpy as np
import pytest
import tensorflow as tf
from test_threat import projection

from mmtf import threat as room
from mmtf.attacks.iterated import IFGSM, PGD, IteratedAttack
from mmtf.classifiers.classifier import Classifier
from mmtf.threat import ThreatModel

SHAPE = (4, 4, 1)
STEPS = 8
# Two roundings of 2^-24 a step, and a relative 1e-6 in the direction of an l2 step of 0.1.
ATOL = 1e-5


def gradient_of(classifier, z, y):
    with tf.GradientTape() as tape:
        tape.watch(z := tf.constant(z))
        logits = classifier(z, training=False)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits)
    return logits.numpy(), tape.gradient(losses, z).numpy()


def iterates(classifier, x, y, eta, norm, step_size):
    """z_0, ..., z_STEPS in NumPy, and whether each but the last is misclassified."""
    z, kept, wrong = x, [x], []
    for _ in range(STEPS):
        logits, gradient = gradient_of(classifier, z, y)
        wrong.append(logits.argmax(1) != y)
        length = np.sqrt((gradient**2).sum((1, 2, 3), keepdims=True))
        direction = np.sign(gradient) if norm == "linf" else gradient / length
        z = projection(z + step_size * direction, x, eta, norm).astype(np.float32)
        kept.append(z)
    return np.array(kept), np.array(wrong)


@pytest.fixture(autouse=True)
def exact(monkeypatch):
    monkeypatch.setattr(room, "ROUNDS", 16)  # of 16 pixels


@pytest.fixture
def batch(rng, smooth):
    x = rng.uniform(-1, 1, (60, *SHAPE)).astype(np.float32)
    y = smooth(x, training=False).numpy().argmax(1)
    y[:3] = (y[:3] + 1) % 3
    return x, y


CASES = pytest.mark.parametrize(
    "kind, threat",
    [
        (IFGSM, ThreatModel(eta=0.2)),
        (IteratedAttack, ThreatModel(eta=0.2)),
        (IteratedAttack, ThreatModel(eta=0.6, norm="l2")),
    ],
)


def attack_and_loop(kind, threat, smooth, batch, stop_early):
    attack = kind(threat, steps=STEPS, stop_early=stop_early)
    loop = iterates(smooth, *batch, threat.eta, threat.norm, 2.5 * threat.eta / STEPS)
    arguments = [tf.constant(one) for one in batch]
    eager = attack(smooth, *arguments).numpy()
    graph = tf.function(lambda x, y: attack(smooth, x, y))(*arguments).numpy()
    return eager, graph, loop


@CASES
def test_the_last_iterate(kind, threat, smooth, batch):
    eager, graph, (kept, wrong) = attack_and_loop(kind, threat, smooth, batch, stop_early=False)
    assert wrong.any(0).sum() > 10  # also of examples that fell long before
    for z in (eager, graph):
        np.testing.assert_allclose(z, kept[-1], rtol=0, atol=ATOL)


@CASES
def test_stop_early_keeps_the_first_misclassified_iterate(kind, threat, smooth, batch):
    eager, graph, (kept, wrong) = attack_and_loop(kind, threat, smooth, batch, stop_early=True)
    first = np.where(wrong.any(0), wrong.argmax(0), STEPS)
    # Some were wrong from the start, some never, the others fell at several steps: so many that
    # they leave the batch more than once.
    assert (first[:3] == 0).all() and (first == STEPS).sum() > 5 and len(set(first)) >= 5
    expected = kept[first, np.arange(len(first))]
    assert np.abs(expected - kept[-1]).max() > 0.05
    for z in (eager, graph):
        np.testing.assert_allclose(z, expected, rtol=0, atol=ATOL)
    np.testing.assert_array_equal(eager[:3], batch[0][:3])


def test_stop_early_saves_no_example_that_falls_without_it(smooth, batch):
    threat = ThreatModel(eta=0.2)
    x, y = (tf.constant(one) for one in batch)
    early = IFGSM(threat, steps=STEPS)(smooth, x, y)
    late = IFGSM(threat, steps=STEPS, stop_early=False)(smooth, x, y)
    fell, fell_late = (
        smooth(z, training=False).numpy().argmax(1) != batch[1] for z in (early, late)
    )
    assert 0 < fell_late.mean() < 1
    assert (fell >= fell_late).all()


def test_all_fallen_at_once(linear, rng):
    """The loop ends when nobody stands."""
    x = rng.uniform(-1, 1, (4, *SHAPE)).astype(np.float32)
    classifier = linear(np.zeros((16, 2)), [0.0, 1.0])
    attack = IFGSM(ThreatModel(eta=0.2))
    np.testing.assert_array_equal(attack(classifier, tf.constant(x), tf.zeros(4, tf.int32)), x)


def test_fewer_examples_climb_as_they_fall(smooth, batch):
    """Run eagerly, work is spent on those that stand."""
    sizes = []

    def counting(x, training):
        tf.py_function(lambda n: sizes.append(int(n)), [tf.shape(x)[0]], [])
        return smooth(x, training=training)

    IFGSM(ThreatModel(eta=0.2), steps=STEPS)(counting, *map(tf.constant, batch))
    assert len(sizes) == STEPS
    assert sizes == sorted(sizes, reverse=True) and 0 < sizes[-1] < 0.7 * sizes[0] == 42


def test_attacks_of_different_lengths_share_one_compiled_step(smooth, batch):
    """A program for each would be traced for each; what the step depends on tells them apart."""
    classifier, (x, y) = Classifier(smooth), batch
    threat = ThreatModel(eta=0.05)
    alike = [
        IFGSM(threat, steps=2),
        PGD(threat, steps=3, restarts=2, decay="linear"),
        PGD(threat, steps=3, step_size=0.01),
    ]
    for attack in alike:
        attack(classifier, x, y)
    assert sum(key[-1] == "step" for key in classifier._compiled) == 1
    others = [
        PGD(ThreatModel(eta=0.1)),
        PGD(threat, loss="margin"),
        PGD(threat, target=1),
        PGD(threat, stop_early=False),
    ]
    assert len({one.step_key() for one in (*alike, *others)}) == 1 + len(others)

    class Own(PGD):
        def step(self, classifier, state, settings):
            return super().step(classifier, state, settings / self.steps)

    assert Own(threat, steps=3).step_key() != Own(threat, steps=4).step_key()
