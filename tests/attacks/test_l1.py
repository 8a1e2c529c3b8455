"""The l1 ball: on a linear model of two classes the bound of `mmtf.bounds` is the exact maximum."""

import numpy as np
import pytest
import tensorflow as tf

from mmtf.attacks import ATTACKS
from mmtf.bounds.balls import Ball, minimum
from mmtf.norms import l1
from mmtf.threat import ThreatModel

SHAPE, COUNT, ETA = (6, 6, 2), 30, 2.5


@pytest.fixture
def case(rng, linear):
    """Model, images of which many pixels are at the border of the box, labels, greatest margin."""
    model = linear(rng.normal(0, 0.5, (72, 2)), rng.normal(0, 0.1, 2))
    x = np.clip(rng.uniform(-2, 2, (COUNT, *SHAPE)), -1, 1).astype(np.float32)
    y = rng.integers(0, 2, COUNT)
    return model, x, y


def margins(model, z, y):
    """Logit of the wrong class minus that of the label, float64 [N]: what an attack raises."""
    logits = model.logits64(z)
    rows = np.arange(len(y))
    return logits[rows, 1 - y] - logits[rows, y]


def greatest(model, x, y):
    """The exact maximum over the ball and the box, from the bound of a linear function."""
    weights = model.weights.astype(np.float64)
    down = (weights[:, y] - weights[:, 1 - y]).T.reshape(-1, *SHAPE)
    bias = model.bias.astype(np.float64)
    least = minimum("l1", tf.constant(down), Ball(eta=ETA, norm="l1").region(x)).numpy()
    return -least + bias[1 - y] - bias[y]


def test_fgm_finds_the_maximum_of_a_linear_loss(case):
    model, x, y = case
    threat = ThreatModel(eta=ETA, norm="l1")
    z = ATTACKS["fgm"](threat)(model, tf.constant(x), tf.constant(y)).numpy()
    assert not threat.violations(z, x).any()
    # 72 float32 products of numbers up to about 1.
    np.testing.assert_allclose(margins(model, z, y), greatest(model, x, y), rtol=0, atol=2e-5)


def test_pgd_comes_near_the_maximum_of_a_linear_loss(case):
    model, x, y = case
    attack = ATTACKS["pgd"](
        ThreatModel(eta=ETA, norm="l1"), steps=100, decay="cosine", stop_early=False
    )
    z = attack(model, tf.constant(x), tf.constant(y)).numpy()
    best, clean = greatest(model, x, y), margins(model, x, y)
    gained = (margins(model, z, y) - clean) / (best - clean)
    assert gained.max() < 1 + 1e-4
    # What is left lies in pixels of nearly equal gradients, between which the steps go slowly.
    assert gained.min() > 0.9 and gained.mean() > 0.98


def test_a_step_is_shared_by_the_greatest_entries_that_the_box_lets_go(rng):
    z = np.clip(rng.uniform(-2, 2, (20, 16, 16, 1)), -1, 1).astype(np.float32)
    gradient = rng.normal(size=z.shape).astype(np.float32)
    gradient[3] = 0.0
    given = tf.constant(gradient), tf.constant(z)
    step = l1.ascended(*given, 0.4, -1.0, 1.0, sparse=True).numpy() - z
    assert not step[3].any()
    for one, slope, at in zip(step, gradient, z, strict=True):
        left, expected = 0.4, np.zeros(256)
        room = np.where(slope > 0, 1 - at, at + 1).ravel() if slope.any() else np.zeros(256)
        for pixel in np.abs(slope).ravel().argsort()[::-1]:
            expected[pixel] = min(room[pixel], 0.1, left)  # 256 / SPARSITY: four take a share
            left -= expected[pixel]
        # z + step is rounded to float32: 2^-24.
        expected *= np.sign(slope.ravel())
        np.testing.assert_allclose(one.ravel(), expected, rtol=0, atol=2e-7)


def test_attack_networks_fill_the_l1_ball(rng):
    from mmtf.nets import ATTACK_NETS

    threat = ThreatModel(eta=3.0, norm="l1")
    x = rng.uniform(-0.5, 0.5, (5, *SHAPE)).astype(np.float32)
    y = np.arange(5) % 2
    for output in ("tanh", "normalized", "full"):
        net = ATTACK_NETS["mlp"](
            threat, image_shape=SHAPE, num_classes=2, width=8, output=output, dropout=0.0
        )
        z = net([x, y]).numpy()
        assert not threat.violations(z, x).any()
        assert output == "tanh" or threat.size(z - x).min() > 0.99 * threat.eta
