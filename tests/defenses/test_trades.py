"""TRADES: the divergence and its direction, its gradient through both outputs, the ascent."""

import numpy as np
import peer_setting
import pytest
import tensorflow as tf
from peer_setting import RATE, THREAT

from mmtf import games, losses
from mmtf.errors import ConfigError
from mmtf.games.players import Batch


def test_beta_zero_is_training_on_clean_images():
    ours, theirs = (
        peer_setting.weights_after(game, peer_setting.deep_net(), peer_setting.batch(), 3)
        for game in (games.Trades(THREAT, beta=0.0), games.Undefended(THREAT))
    )
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a, b)


def by_hand(weights, x, z, y, beta):
    """(objective, divergence, gradient of the objective in the kernel) of a linear net."""
    kernel, bias = (one.astype(np.float64) for one in weights)
    p, q = (peer_setting.softmax(peer_setting.flat(one) @ kernel + bias) for one in (x, z))
    rows, size = np.arange(len(y)), len(y)
    divergences = (p * (np.log(p) - np.log(q))).sum(-1)
    risk = -np.log(p[rows, y]).mean()
    labels = np.eye(p.shape[1])[y]
    at_x = p - labels + beta * p * (np.log(p) - np.log(q) - divergences[:, None])
    at_z = beta * (q - p)
    gradient = (peer_setting.flat(x).T @ at_x + peer_setting.flat(z).T @ at_z) / size
    return risk + beta * divergences.mean(), divergences.mean(), gradient


def test_the_objective_and_its_gradient_through_both_outputs_by_hand():
    game, net = games.Trades(THREAT, beta=2.0), peer_setting.linear_net()
    (x, y), players = peer_setting.batch(), peer_setting.players_of(game, net)
    before = net.get_weights()
    z = THREAT.random_start(x, tf.constant([3, 4]))
    context = peer_setting.context_of(6)
    loss, metrics = game.objective(players, Batch(x, y), Batch(z, y), context)
    value, divergence, gradient = by_hand(before, x, z, y.numpy(), 2.0)
    assert float(loss) == pytest.approx(value, rel=1e-5)
    assert float(metrics["divergence"]) == pytest.approx(divergence, rel=1e-5)
    game.min_step(players, Batch(x, y), Batch(z, y), context)
    moved = (before[0] - net.get_weights()[0]) / RATE
    np.testing.assert_allclose(moved, gradient, atol=1e-5)


def test_the_divergence_is_that_of_the_perturbed_from_the_clean_output():
    sure, unsure = tf.constant([[3.0, 0.0]]), tf.constant([[0.5, 0.0]])
    p, q = (peer_setting.softmax(one.numpy().astype(np.float64))[0] for one in (sure, unsure))
    there, back = (p * np.log(p / q)).sum(), (q * np.log(q / p)).sum()
    assert float(losses.kl_divergence(sure, unsure)[0]) == pytest.approx(there, rel=1e-5)
    assert float(losses.kl_divergence(unsure, sure)[0]) == pytest.approx(back, rel=1e-5)
    assert abs(there - back) > 0.05


def test_the_ascent_raises_the_divergence_within_ball_and_box():
    game, net = games.Trades(THREAT), peer_setting.deep_net()
    (x, y), players = peer_setting.batch(), peer_setting.players_of(game, net)
    z, labels = game.perturb(players, Batch(x, y), peer_setting.context_of(6))
    assert not THREAT.violations(z, x).any()
    np.testing.assert_array_equal(labels, y)
    found = losses.kl_divergence(net(x), net(z)).numpy()
    others = [
        losses.kl_divergence(net(x), net(THREAT.random_start(x, tf.constant([0, k]))))
        for k in range(5)
    ]
    assert (found > np.max(others, 0)).mean() > 0.8 and found.mean() > 3 * np.mean(others)


@pytest.mark.parametrize("name", ["trades", "mart"])
def test_batch_norm_sees_the_halves_apart_or_together(name):
    found = {}
    for halves in ("apart", "together"):
        for normalize in (False, True):
            game = games.GAMES[name](THREAT, halves=halves)
            net = peer_setting.deep_net(normalize)
            players, examples = peer_setting.players_of(game, net), peer_setting.batch()
            z = THREAT.project(examples.x + 0.2, examples.x)
            both = examples, Batch(z, examples.y)
            loss, _ = game.objective(players, *both, peer_setting.context_of(6))
            found[halves, normalize] = float(loss)
            if normalize:  # the moving mean: two updates of a tenth of a percent each, or one
                found[halves] = np.abs(net.layers[2].moving_mean.numpy()).sum()
    assert found["apart", False] == pytest.approx(found["together", False], rel=1e-5)
    assert abs(found["apart", True] - found["together", True]) > 1e-3
    assert found["apart"] > 1.5 * found["together"]


def test_options_are_checked():
    with pytest.raises(ConfigError, match="halves to be one of apart, together"):
        games.Trades(THREAT, halves="mixed")
    with pytest.raises(ConfigError, match="beta >= 0"):
        games.Trades(THREAT, beta=-1.0)
    with pytest.raises(ConfigError, match="relative_step > 0"):
        games.Mart(THREAT, relative_step=0.0)
