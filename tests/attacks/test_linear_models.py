"""Closed forms: on a linear model of two classes the loss rises with one linear function.

With d = w_wrong - w_true, max over the ball and box is at clip(x + eta sign(d)) for linf, and at
x + eta d / ||d||_2 for l2 where the box does not bind. FGSM, FGM, IFGSM and PGD all find it.
"""

import numpy as np
import pytest
import tensorflow as tf
from test_threat import projection

from mmtf import threat as room
from mmtf.attacks import ATTACKS
from mmtf.attacks.iterated import IteratedAttack
from mmtf.attacks.queries import input_gradient
from mmtf.threat import ThreatModel

SHAPE = (3, 3, 1)
COUNT = 25
FEASIBLE = 2000
LINF, L2 = ThreatModel(eta=0.4), ThreatModel(eta=0.6, norm="l2")
# Each of up to 30 steps rounds numbers up to 1 twice: 2^-24 each.
ATOL = 4e-6


@pytest.fixture
def model(rng, linear):
    return linear(rng.normal(0, 0.5, (9, 2)), rng.normal(0, 0.1, 2))


@pytest.fixture
def labels(rng):
    return rng.integers(0, 2, COUNT)


def ascent(model, labels):
    """d, the direction in which each example's loss rises; float64 [N, H, W, C]."""
    weights = model.weights.astype(np.float64)
    return (weights[:, 1 - labels] - weights[:, labels]).T.reshape(-1, *SHAPE)


def loss(model, images, labels):
    """Cross-entropy in float64 for images [..., N, H, W, C]."""
    logits = model.logits64(images)
    own = np.take_along_axis(logits, np.broadcast_to(labels, logits.shape[:-1])[..., None], -1)
    return np.log(np.exp(logits - own).sum(-1))


def linf_case(model, labels, rng):
    """x anywhere in the box, the maximizer, and feasible points, half of them corners."""
    x = rng.uniform(-1, 1, (COUNT, *SHAPE)).astype(np.float32)
    low, high = np.maximum(x - 0.4, -1.0), np.minimum(x + 0.4, 1.0)
    mix = rng.uniform(size=(FEASIBLE, *x.shape))
    mix[::2] = np.round(mix[::2])
    best = np.clip(x + 0.4 * np.sign(ascent(model, labels)), -1, 1)
    return x, best, low + mix * (high - low)


def l2_case(model, labels, rng):
    """x away from the box, the maximizer, and feasible points, half of them on the sphere."""
    x = rng.uniform(-0.4, 0.4, (COUNT, *SHAPE)).astype(np.float32)
    d = ascent(model, labels)
    best = x + 0.6 * d / np.sqrt((d**2).sum((1, 2, 3), keepdims=True))
    direction = rng.normal(size=(FEASIBLE, *x.shape))
    direction /= np.sqrt((direction**2).sum((2, 3, 4), keepdims=True))
    radius = 0.6 * rng.uniform(size=(FEASIBLE, COUNT, 1, 1, 1)) ** (1 / 9)
    radius[::2] = 0.6
    return x, best, x + radius * direction


def case_of(threat):
    return linf_case if threat.norm == "linf" else l2_case


# PGD in l2 first slides along the sphere: a step of eta halves what is left, 30 steps leave 1e-9.
EXACT = [
    pytest.param(ATTACKS["fgsm"](LINF), id="fgsm"),
    pytest.param(ATTACKS["fgm"](L2), id="fgm"),
    pytest.param(ATTACKS["ifgsm"](LINF, stop_early=False), id="ifgsm"),
    pytest.param(ATTACKS["pgd"](LINF, stop_early=False, steps=20), id="pgd-linf"),
    pytest.param(ATTACKS["pgd"](L2, stop_early=False, steps=30, step_size=0.6), id="pgd-l2"),
    pytest.param(IteratedAttack(L2, stop_early=False, steps=5), id="iterated-l2"),
]


@pytest.mark.parametrize("attack", EXACT)
def test_the_maximizer_is_found(attack, model, labels, rng):
    x, best, feasible = case_of(attack.threat)(model, labels, rng)
    z = attack(model, tf.constant(x), tf.constant(labels), seed=(0, 0)).numpy()
    np.testing.assert_allclose(z, best, rtol=0, atol=ATOL)
    # The loss's slope is at most ||d||_1 < 20 over all pixels.
    reached = loss(model, z, labels)
    np.testing.assert_array_less(loss(model, feasible, labels).max(0), reached + 20 * ATOL)
    # Not because everything is equal: the mean feasible point is far below.
    assert (reached - loss(model, feasible, labels).mean(0)).min() > 0.05


def test_the_input_gradient(model, labels, rng):
    """grad_x l = sum_k (softmax_k - [k = y]) w_k, whatever the batch."""
    x = rng.uniform(-1, 1, (COUNT, *SHAPE)).astype(np.float32)
    logits, gradient = input_gradient(model, tf.constant(x), tf.constant(labels))
    expected_logits = model.logits64(x)
    wrong = 1 - np.exp(-loss(model, x, labels))
    expected = wrong[:, None, None, None] * ascent(model, labels)
    # Nine products of numbers up to about 1, summed in float32.
    np.testing.assert_allclose(logits, expected_logits, rtol=0, atol=2e-6)
    np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_gradient_step_is_eq_3(norm, model, labels, rng):
    """z = x + eta grad l: the whole ball is not used where the gradient is small."""
    threat = ThreatModel(eta=0.5, norm=norm)
    d = ascent(model, labels)
    model.weights *= np.float32(0.5 / np.sqrt((d**2).sum((1, 2, 3))).max())
    x = rng.uniform(-0.5, 0.5, (COUNT, *SHAPE)).astype(np.float32)
    wrong = 1 - np.exp(-loss(model, x, labels))
    gradient = wrong[:, None, None, None] * ascent(model, labels)
    assert 0.1 < threat.size(gradient).max() < 1  # inside the ball and the box
    z = ATTACKS["gradient_step"](threat)(model, tf.constant(x), tf.constant(labels))
    np.testing.assert_allclose(z, x + 0.5 * gradient, rtol=0, atol=1e-6)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_gradient_step_stays_in_ball_and_box(norm, model, labels, rng, monkeypatch):
    """Where grad l is long, the step is projected."""
    monkeypatch.setattr(room, "ROUNDS", 9)  # of 9 pixels: exact
    threat = ThreatModel(eta=0.5, norm=norm)
    model.weights *= np.float32(20)
    x = rng.uniform(-1, 1, (COUNT, *SHAPE)).astype(np.float32)
    wrong = 1 - np.exp(-loss(model, x, labels))
    gradient = wrong[:, None, None, None] * ascent(model, labels)
    length = np.sqrt((gradient**2).sum((1, 2, 3), keepdims=True))
    assert (length > 1).any()
    expected = projection(x + 0.5 * gradient, x, 0.5, norm)
    z = ATTACKS["gradient_step"](threat)(model, tf.constant(x), tf.constant(labels))
    # Logits of order 20 in float32, so a gradient of order 10 that is off by some 1e-5.
    np.testing.assert_allclose(z, expected, rtol=0, atol=1e-4)


def test_no_attack_gives_the_clean_images(model, labels, rng):
    x = rng.uniform(-1, 1, (COUNT, *SHAPE)).astype(np.float32)
    z = ATTACKS["none"](LINF)(model, tf.constant(x), tf.constant(labels))
    np.testing.assert_array_equal(z, x)
