"""The adaptive attacker against classifiers whose worst expected error is known."""

import numpy as np
import pytest
import tensorflow as tf

from mmtf.attacks import UniversalPerturbation
from mmtf.errors import ConfigError
from mmtf.mixtures import ExpectedErrorPGD, Mixture, PayoffTable, adaptive_attack, expected_errors
from mmtf.mixtures.attackers import three_attackers
from mmtf.threat import ThreatModel

TRIES = {"steps": 4, "restarts": 6}


def above(x, training=False):
    """Takes a pixel z for class 1 if z > 0.2."""
    z = tf.reshape(x, [-1, 1])
    return tf.concat([0.2 - z, z - 0.2], 1)


def below(x, training=False):
    """Takes a pixel z for class 1 if z < -0.2."""
    return above(-x)


def pixels(*values):
    return np.array(values, np.float32).reshape(-1, 1, 1, 1)


def test_the_best_response_to_two_nets_that_are_never_wrong_together():
    """Label 0: from 0 either net can be fooled, never both; from 0.6 only the first."""
    mixture = Mixture({"above": above, "below": below}, [0.7, 0.3])
    x, y = pixels(0.0, 0.6, -0.6), np.zeros(3, np.int32)
    np.testing.assert_allclose(expected_errors(mixture, x, y), [0.0, 0.7, 0.3])
    found = adaptive_attack(mixture, ThreatModel(eta=0.3), x, y, steps=10)
    np.testing.assert_allclose(found.errors, [0.7, 0.7, 0.3])
    np.testing.assert_allclose(expected_errors(mixture, found.images, y), found.errors)
    assert (np.abs(found.images - x) <= 0.3 + 1e-6).all()
    none = adaptive_attack(mixture, ThreatModel(eta=0.1), x[:1], y[:1], steps=10)
    assert none.errors.tolist() == [0.0]


def test_a_single_linear_net_falls_where_it_can(linear, rng):
    """A net of two classes is fooled in the ball iff its margin is below eta |w|_1."""
    w, eta = rng.normal(size=4), 0.2
    x = rng.uniform(-0.5, 0.5, (40, 2, 2, 1)).astype(np.float32)
    margins = x.reshape(40, 4) @ w
    y = (margins > 0).astype(np.int32)  # all right without an attack
    net = linear(np.stack([np.zeros(4), w], 1))
    found = adaptive_attack(net, ThreatModel(eta=eta), x, y, steps=10)
    fooled = np.abs(margins) < eta * np.abs(w).sum()
    sure = np.abs(np.abs(margins) - eta * np.abs(w).sum()) > 1e-5
    assert 0 < fooled.sum() < 40
    np.testing.assert_array_equal(found.errors[sure] == 1, fooled[sure])


def test_the_order_of_the_three_attackers():
    """Moved up, `above` takes 0, 0.12 and 0.9 for class 1; moved down, it still takes 0.9.

    Moved down, `below` takes 0 and -0.15 for class 1; moved up, none. In the ball of 0.3 nothing
    else is possible. From -0.15 the gradient leads up, where nothing is wrong: only a random start
    below -0.2 finds the other side.
    """
    table = PayoffTable(pixels(0.0, 0.12, -0.15, 0.9), np.zeros(4, np.int32))
    threat = ThreatModel(eta=0.3)
    up, down = (UniversalPerturbation(threat, np.full((1, 1, 1), v)) for v in (0.25, -0.25))
    table.add({"above": above, "below": below}, {"up": up, "down": down})
    found = three_attackers(table, {"above": 0.6, "below": 0.4}, ["up", "down"], threat, **TRIES)
    assert found.strongest == "up"
    assert found.clean.error == pytest.approx(0.6 / 4)
    assert found.table.error == pytest.approx(3 * 0.6 / 4)
    for one in (found.per_image, found.adaptive, found.either):
        assert one.error == pytest.approx((0.6 + 0.6 + 0.4 + 0.6) / 4)
    assert found.exploitability == pytest.approx(0.1)
    fair = three_attackers(table, {"above": 0.4, "below": 0.6}, ["up", "down"], threat, **TRIES)
    assert fair.strongest == "down"
    assert fair.table.error == pytest.approx((0.6 + 0.6 + 0.4) / 4)
    assert fair.either.error == pytest.approx((0.6 + 0.4 + 0.6 + 0.4) / 4)
    assert fair.clean.ci_low <= fair.clean.error <= fair.clean.ci_high
    alone = three_attackers(table, {"above": 1.0}, ["up", "down"])
    assert alone.adaptive is None and alone.exploitability is None


def test_other_settings_are_refused():
    for given in ({"loss": "dlr"}, {"target": 1}, {"stop_early": False}, {"restarts": 2}):
        with pytest.raises(ConfigError):
            ExpectedErrorPGD(ThreatModel(eta=0.1), **given)


def test_an_error_of_all_images_is_one_up_to_rounding():
    table = PayoffTable(pixels(0.9, 0.9), np.zeros(2, np.int32))
    up = UniversalPerturbation(ThreatModel(eta=0.3), np.full((1, 1, 1), 0.05))
    table.add({"one": above, "other": above}, {"up": up})
    found = three_attackers(table, {"one": 0.5, "other": 0.5000004}, ["up"])
    assert found.table.error == found.per_image.error == found.clean.error == 1.0
