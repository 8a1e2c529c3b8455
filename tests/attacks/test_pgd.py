"""PGD: random starts, and restarts that only add."""

import numpy as np
import pytest
import tensorflow as tf

from mmtf.attacks.iterated import PGD
from mmtf.errors import ConfigError
from mmtf.threat import ThreatModel

THREAT = ThreatModel(eta=0.5)
SHORT = {"steps": 2, "step_size": 0.02}  # hardly leaves its start: the start decides
SHAPE = (2, 2, 1)


def wavy(x, training):
    """Two classes; class 1 where cosines of the pixels meet: small islands in class 0."""
    assert training is False
    height = tf.reduce_sum(tf.cos(9.0 * tf.reshape(x, [-1, 4])), 1)
    return tf.stack([tf.zeros_like(height), height - 2.6], 1)


@pytest.fixture
def batch(rng):
    x = rng.uniform(-1, 1, (300, *SHAPE)).astype(np.float32)
    x = x[wavy(x, training=False).numpy()[:, 1] < 0]
    return tf.constant(x), tf.zeros(len(x), tf.int32)


def fallen(z):
    return wavy(z, training=False).numpy()[:, 1] > 0


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_restarts_only_add(norm, batch, excess):
    threat = ThreatModel(eta=0.5, norm=norm)
    before, errors = None, []
    for restarts in (1, 2, 5):
        z = PGD(threat, **SHORT, restarts=restarts)(wavy, *batch, seed=(0, 1)).numpy()
        assert excess(z, batch[0], threat).max() < 5e-7
        if before is not None:
            np.testing.assert_array_equal(z[fallen(before)], before[fallen(before)])
            # Those that stood were tried again from another start.
            assert np.abs(z - before)[~fallen(before)].max((1, 2, 3)).min() > 1e-3
        errors.append(fallen(z).mean())
        before = z
    assert 0.02 < errors[0] < errors[1] < errors[2] < 1


def test_restarts_stop_when_all_have_fallen(linear):
    """And an attack on nobody is no error."""
    classifier = linear(np.zeros((4, 2)), [0.0, 1.0])
    x, y = tf.zeros([3, *SHAPE]), tf.zeros(3, tf.int32)
    one, many = (PGD(THREAT, **SHORT, restarts=n)(classifier, x, y) for n in (1, 4))
    np.testing.assert_array_equal(one, many)


def test_the_start_is_the_threats(batch):
    x, y = batch
    attack = PGD(THREAT, steps=1, step_size=1e-6, stop_early=False)
    start = THREAT.random_start(x, tf.constant([3, 4]))
    np.testing.assert_allclose(attack(wavy, x, y, seed=(3, 4)), start, rtol=0, atol=1.2e-6)


def test_restarts_in_a_graph_are_refused(batch):
    attack = PGD(THREAT, restarts=2)
    with pytest.raises(ConfigError, match="restarts=1 inside a tf.function. Received: 2"):
        # AutoGraph would wrap the error in its own.
        tf.function(lambda x, y: attack(wavy, x, y), autograph=False)(*batch)


def test_impossible_restarts_are_refused():
    with pytest.raises(ConfigError, match="restarts > 0"):
        PGD(THREAT, restarts=0)
    with pytest.raises(ConfigError, match="stop_early=True with restarts > 1"):
        PGD(THREAT, restarts=2, stop_early=False)
    assert PGD(THREAT, restarts=1, stop_early=False).restarts == 1
