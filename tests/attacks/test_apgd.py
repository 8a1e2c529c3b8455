"""APGD: its checkpoints, its step sizes, and that it is no weaker than PGD."""

import numpy as np
import pytest
import tensorflow as tf

from mmtf.attacks.apgd import APGD, APGDTargeted, checkpoints
from mmtf.attacks.criteria import wrong_classes
from mmtf.attacks.iterated import PGD
from mmtf.errors import ConfigError
from mmtf.evaluation.attack_specs import make_attacks
from mmtf.losses import dlr, margin, targeted_dlr
from mmtf.threat import ThreatModel


def test_checkpoints_are_the_papers():
    """p_0 = 0, p_1 = 0.22, p_(j+1) = p_j + max(p_j - p_(j-1) - 0.03, 0.06), times 100 steps."""
    shares = [0.0, 0.22]
    while shares[-1] + 0.06 <= 1:
        shares.append(shares[-1] + max(shares[-1] - shares[-2] - 0.03, 0.06))
    expected = [round(100 * share) for share in shares[1:] if share <= 1]
    assert checkpoints(100) == expected == [22, 41, 57, 70, 80, 87, 93, 99]
    assert checkpoints(1) == [1]


@pytest.mark.parametrize("steps", range(1, 30))
def test_checkpoints_rise_and_stay_within(steps):
    at = checkpoints(steps)
    assert at == sorted(set(at)) and at[-1] <= steps


@pytest.mark.parametrize("norm, eta", [("linf", 0.2), ("l2", 0.7)])
@pytest.mark.parametrize("loss", ["cross_entropy", "dlr"])
def test_no_weaker_than_pgd(norm, eta, loss, smooth, rng):
    threat = ThreatModel(eta=eta, norm=norm)
    x = tf.constant(rng.uniform(-1, 1, (300, 4, 4, 1)).astype(np.float32))
    y = tf.argmax(smooth(x, training=False), 1, tf.int32)
    fallen = {}
    for attack in (PGD(threat, steps=30), APGD(threat, steps=30, loss=loss)):
        z = attack(smooth, x, y)
        fallen[type(attack).__name__] = float(tf.reduce_mean(tf.cast(wrong(smooth, z, y), float)))
    assert 0.1 < fallen["PGD"] < 1
    # The ratio of logits is another surface than the risk that PGD climbs: 3 of 300.
    assert fallen["APGD"] >= fallen["PGD"] - (1 if loss == "cross_entropy" else 3) / 300


def test_targets_add_what_one_direction_misses(smooth, rng):
    threat = ThreatModel(eta=0.2)
    x = tf.constant(rng.uniform(-1, 1, (300, 4, 4, 1)).astype(np.float32))
    y = tf.argmax(smooth(x, training=False), 1, tf.int32)
    fallen = [
        np.asarray(wrong(smooth, APGDTargeted(threat, steps=20, targets=count)(smooth, x, y), y))
        for count in (1, 2, 9)
    ]
    assert (fallen[1] >= fallen[0]).all()  # the second target is tried on those left standing
    np.testing.assert_array_equal(fallen[1], fallen[2])  # three classes have two wrong ones


@pytest.mark.parametrize("compile_it", [False, True])
def test_targets_going_on_keep_the_best_image(compile_it, smooth, rng):
    """Without early stopping no later target takes back what an earlier one found."""
    threat = ThreatModel(eta=0.2)
    x = tf.constant(rng.uniform(-1, 1, (100, 4, 4, 1)).astype(np.float32))
    y = tf.argmax(smooth(x, training=False), 1, tf.int32)
    found = []
    for count in (1, 2):
        attack = APGDTargeted(threat, steps=8, targets=count, stop_early=False)
        z = (tf.function(attack) if compile_it else attack)(smooth, x, y)
        assert not threat.violations(z, x).any()
        found.append(margin(smooth(z, training=False), y).numpy())
    assert (found[1] >= found[0]).all() and 5 < (found[1] > found[0]).sum() < 95


def test_targets_of_a_mean(smooth, rng):
    threat = ThreatModel(eta=0.2)
    x = tf.constant(rng.uniform(-1, 1, (100, 4, 4, 1)).astype(np.float32))
    y = tf.argmax(smooth(x, training=False), 1, tf.int32)
    options = {"steps": 8, "targets": 2}
    averaged = make_attacks({"apgd_targeted": options}, threat, eot_samples=2)["apgd_targeted"]
    assert "stop_early=False" in repr(averaged)
    fallen = wrong(smooth, averaged(smooth, x, y), y)
    early = wrong(smooth, APGDTargeted(threat, **options)(smooth, x, y), y)
    # The same steps on the same losses; the largest loss is a success where any is.
    assert np.mean(fallen) >= np.mean(early) - 0.01 > 0.1


@pytest.mark.parametrize("classes", [3, 4, 5])
def test_every_target_has_a_gradient(classes):
    """-(z_y - z_t) / (z_(1) - z_(3)) would be -1 where the label is first and the target third."""
    logits = tf.constant([np.linspace(2.0, -1.0, classes)], tf.float32)
    for target in range(1, classes):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            loss = targeted_dlr(logits, [0], [target])
        assert np.abs(tape.gradient(loss, logits)).max() > 0.1


def test_an_example_that_is_wrong_already_is_left_as_it_is(smooth, rng):
    x = tf.constant(rng.uniform(-1, 1, (20, 4, 4, 1)).astype(np.float32))
    y = (tf.argmax(smooth(x, training=False), 1, tf.int32) + 1) % 3
    for attack in (APGD, APGDTargeted):
        np.testing.assert_array_equal(attack(ThreatModel(eta=0.2), steps=3)(smooth, x, y), x)


def test_the_step_is_halved_until_a_peak_inside_the_ball_is_found():
    """The margin peaks at 0.1 within a ball of 1: steps of 2 eta overshoot it for ever."""

    def peaked(x, training):
        height = 0.5 - tf.reduce_sum(tf.square(tf.reshape(x, [-1, 4]) - 0.1), 1)
        return tf.stack([tf.ones_like(height), height, -tf.ones_like(height)], 1)

    attack = APGD(ThreatModel(eta=1.0), steps=100)
    z = attack(peaked, tf.zeros([5, 2, 2, 1]), tf.zeros(5, tf.int32))
    # 8 checkpoints halve 2 at most 8 times: within 2 / 2^8 of the peak, momentum aside.
    assert np.abs(z.numpy() - 0.1).max() < 0.05


def test_losses_in_closed_form():
    logits = tf.constant([[4.0, 1.0, 3.0, 0.0, 2.0]])
    # sorted 4 3 2 1 0; the true class 2 has 3, the largest wrong logit is 4.
    assert float(dlr(logits, [2])[0]) == pytest.approx((4 - 3) / (4 - 2))
    assert float(targeted_dlr(logits, [0], [3])[0]) == pytest.approx(-4 / (4 - 1.5))
    # Of three classes, (z_t - z_y) / (z_(1) - (z_(2) + z_(3)) / 2).
    assert float(targeted_dlr(tf.constant([[4.0, 3.0, 1.0]]), [0], [2])[0]) == pytest.approx(-3 / 2)
    for scale, shift in ((7.0, 3.0), (0.1, -9.0)):
        moved = scale * logits + shift
        assert float(dlr(moved, [2])[0]) == pytest.approx(0.5, rel=1e-5)
        assert float(targeted_dlr(moved, [0], [3])[0]) == pytest.approx(-1.6, rel=1e-5)
    assert np.isfinite(dlr(tf.zeros([1, 5]), [2])).all()


def test_losses_need_three_classes():
    with pytest.raises(ConfigError, match="at least 3 classes for the loss dlr. Received: 2"):
        dlr(tf.zeros([1, 2]), [0])


def test_wrong_classes_by_rank():
    def logits(x, training):
        return tf.constant([[1.0, 5.0, 3.0, 4.0], [9.0, 0.0, -1.0, 2.0]])

    order = wrong_classes(logits, tf.zeros([2, 1]), tf.constant([1, 3]))
    np.testing.assert_array_equal(order, [[3, 2, 0], [0, 1, 2]])


@pytest.mark.parametrize(
    "options, message",
    [({"rho": 1.0}, "rho < 1"), ({"restarts": 0}, "restarts > 0"), ({"loss": "hinge"}, "loss to")],
)
def test_impossible_settings_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        APGD(ThreatModel(eta=0.1), **options)


def wrong(classifier, z, y):
    return tf.argmax(classifier(z, training=False), 1, tf.int32) != y
