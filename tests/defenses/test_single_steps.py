"""FGSM-RS, N-FGSM and GradAlign: where their images lie, and the alignment of gradients."""

import keras
import numpy as np
import peer_setting
import pytest
import tensorflow as tf
from peer_setting import THREAT

import mmtf
from mmtf import games
from mmtf.attacks.queries import input_gradient
from mmtf.attacks.single_step import FGM
from mmtf.games.players import Batch

CONTEXT = peer_setting.context_of(6)


def signs(net, z, y):
    return tf.sign(input_gradient(net, z, y)[1])


def test_fgsm_rs_is_one_long_step_from_a_random_start():
    game, net = games.FGSMRS(THREAT), peer_setting.deep_net()
    (x, y), players = peer_setting.batch(), peer_setting.players_of(game, net)
    z, _ = game.perturb(players, Batch(x, y), CONTEXT)
    start = THREAT.random_start(x, CONTEXT.seed)
    expected = THREAT.project(start + 0.25 * signs(net, start, y), x)
    np.testing.assert_allclose(z, expected, atol=1e-6)
    assert not THREAT.violations(z, x).any()


def test_n_fgsm_leaves_the_ball_and_not_the_box():
    game, net = games.NFGSM(THREAT), peer_setting.deep_net()
    (x, y), players = peer_setting.batch(40), peer_setting.players_of(game, net)
    x = tf.concat([x, tf.ones_like(x)], 0)  # white images, too: the box holds
    y = tf.concat([y, y], 0)
    z, _ = game.perturb(players, Batch(x, y), CONTEXT)
    distance = np.abs(z - x).max((1, 2, 3))
    # |u + 0.2| <= 0.2 for half of all u in [-0.4, 0.4], so 1 - 1 / 2^4 of the images leave the
    # ball; four standard deviations of the share of 40 images are 0.15.
    assert (distance[:40] > 0.2).mean() > 15 / 16 - 0.15 and distance.max() <= 0.6 + 1e-6
    assert np.abs(z).max() <= 1.0
    start = THREAT.with_radius(0.4).random_start(x, CONTEXT.seed)
    assert np.abs(start - x).max() > 0.35
    expected = tf.clip_by_value(start + 0.2 * signs(net, start, y), -1.0, 1.0)
    np.testing.assert_allclose(z, expected, atol=1e-6)


@pytest.mark.parametrize("relative_step", [1.0, 1.25])
def test_grad_align_uses_the_radius_of_the_l1_ball(relative_step):
    threat, examples, net = peer_setting.in_l1()
    game = games.GradAlign(threat, relative_step=relative_step)
    z, _ = game.perturb(peer_setting.players_of(game, net), examples, CONTEXT)
    assert threat.size(z - examples.x).min() > 9
    assert not threat.violations(z, examples.x).any()
    if relative_step == 1.0:
        np.testing.assert_allclose(z, FGM(threat)(net, *examples), atol=1e-6)


def test_the_step_of_n_fgsm_has_its_length_in_l1():
    threat, examples, net = peer_setting.in_l1()
    game = games.NFGSM(threat)
    z, _ = game.perturb(peer_setting.players_of(game, net), examples, CONTEXT)
    start = threat.with_radius(20.0).random_start(examples.x, CONTEXT.seed)
    assert threat.size(z - start).min() > 9 and np.abs(z).max() <= 1.0


def test_the_gradients_of_a_linear_model_of_two_classes_are_aligned():
    game, net = games.GradAlign(THREAT), peer_setting.linear_net(classes=2)
    examples = peer_setting.batch(classes=2)
    players = peer_setting.players_of(game, net, 2)
    _, metrics = game.objective(players, examples, examples, CONTEXT)
    assert float(metrics["misalignment"]) == pytest.approx(0.0, abs=1e-6)


def test_zero_gradients_are_left_out_of_the_mean():
    """Two images whose loss is exactly 0 in float32, four others: the mean is over four."""
    game, net = games.GradAlign(peer_setting.REPEATABLE), peer_setting.deep_net()
    (x, y), players = peer_setting.batch(4), peer_setting.players_of(game, net)
    _, few = game.objective(players, Batch(x, y), Batch(x, y), peer_setting.context_of(4))

    def wrapped(images, training=False):  # an image above 0.9 has logits 200, 0, 0
        sure = tf.reduce_min(images, (1, 2, 3), keepdims=True)[:, :, 0, 0] > 0.65
        return tf.where(sure, tf.constant([[200.0, 0.0, 0.0]]), net(images, training=training))

    with_sure = games.Players({"classifier": net}, {}, mmtf.Classifier(wrapped, precision=None))
    more = Batch(tf.concat([x, tf.fill([2, 2, 2, 1], 0.9)], 0), tf.concat([y, [0, 0]], 0))
    _, all_six = game.objective(with_sure, more, more, CONTEXT)
    assert float(few["misalignment"]) > 1e-3
    assert float(all_six["misalignment"]) == pytest.approx(float(few["misalignment"]), rel=1e-5)


def test_no_gradient_at_all_is_no_misalignment():
    game, net = games.GradAlign(THREAT), peer_setting.linear_net()
    net.set_weights([np.zeros_like(one) for one in net.get_weights()])
    players = peer_setting.players_of(game, net)
    examples = peer_setting.batch()
    game.step(players, examples, CONTEXT)
    assert all(np.isfinite(one).all() for one in net.get_weights())


def test_grad_align_aligns_gradients():
    """Descending the penalty alone lowers it, with the same dropout masks at both points."""
    game, net = games.GradAlign(THREAT, gamma=1.0), peer_setting.deep_net(dropout=0.5)
    examples, players = peer_setting.batch(), peer_setting.players_of(game, net)
    optimizer, seen = keras.optimizers.SGD(0.5), []
    for _ in range(8):
        with tf.GradientTape() as tape, CONTEXT.dropout(net):
            _, metrics = game.objective(players, examples, examples, CONTEXT)
        seen.append(float(metrics["misalignment"]))
        gradient = tape.gradient(metrics["misalignment"], net.trainable_variables)
        optimizer.apply(gradient, net.trainable_variables)
    assert seen[-1] < 0.9 * seen[0] and seen[0] < 0.5
