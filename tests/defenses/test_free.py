"""Free: replays, the perturbation that is kept, and how steps are counted."""

import keras
import numpy as np
import peer_setting
import pytest
import tensorflow as tf
from peer_setting import THREAT

import mmtf
from mmtf import games
from mmtf.attacks.queries import input_gradient
from mmtf.errors import ConfigError
from mmtf.games.players import Batch
from mmtf.training.callbacks import Callbacks

CONTEXT = peer_setting.context_of(6)


def started(replays, **options):
    game, net = games.Free(THREAT, replays=replays, **options), peer_setting.deep_net()
    return game, net, peer_setting.players_of(game, net)


def kept(players):
    return players.updaters["perturbation"].delta.numpy()


def test_the_first_replay_from_zero_is_fgsm_from_zero():
    """The weight step is on clean images; d is FGSM-RS without its random start."""
    game, net, players = started(1, relative_step=1.25)
    x, y = peer_setting.batch()
    _, gradient = input_gradient(net, x, y)
    game.step(players, Batch(x, y), CONTEXT)
    plain, other = games.Undefended(THREAT), peer_setting.deep_net()
    theirs = peer_setting.weights_after(plain, other, Batch(x, y))
    for a, b in zip(net.get_weights(), theirs, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    expected = THREAT.project(x + 0.25 * tf.sign(gradient), x)
    np.testing.assert_allclose(THREAT.clip_box(x + kept(players)[:6]), expected, atol=1e-6)
    assert not kept(players)[6:].any()


def test_the_second_replay_trains_on_the_perturbed_images():
    game, net, players = started(2)
    x, y = peer_setting.batch()
    _, gradient = input_gradient(net, x, y)
    game.step(players, Batch(x, y), CONTEXT)
    other, plain = peer_setting.deep_net(), games.Undefended(THREAT)
    theirs = peer_setting.players_of(plain, other)
    for images in (x, x + 0.2 * tf.sign(gradient)):  # d of the first replay, in the box here
        plain.step(theirs, Batch(images, y), CONTEXT)
    for a, b in zip(net.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    assert int(players.updaters["classifier"].iterations) == 2


def test_the_perturbation_goes_on_from_batch_to_batch_within_the_ball():
    game, net, players = started(1)
    x, y = peer_setting.batch()
    game.step(players, Batch(x, y), CONTEXT)
    first, (x, y) = kept(players), peer_setting.batch(seed=1)
    d = tf.constant(first[:6])
    _, gradient = input_gradient(net, THREAT.clip_box(x + d), y)
    game.step(players, Batch(x, y), CONTEXT)
    expected = np.clip(d + 0.2 * tf.sign(gradient), -0.2, 0.2)
    np.testing.assert_allclose(kept(players)[:6], expected, atol=1e-6)
    assert (kept(players) != first).any()


def test_pixels_that_the_box_clips_keep_their_perturbation():
    game, net, players = started(1)
    x, y = tf.ones([6, 2, 2, 1]), peer_setting.batch().y
    players.updaters["perturbation"].delta.assign(tf.fill([128, 2, 2, 1], 0.1))
    game.step(players, Batch(x, y), CONTEXT)
    np.testing.assert_allclose(kept(players)[:6], 0.1, rtol=1e-6)  # x + d is 1 for d = 0.1


def test_the_first_step_uses_the_radius_of_the_l1_ball():
    threat, (x, y), net = peer_setting.in_l1()
    game = games.Free(threat, replays=1)
    players = peer_setting.players_of(game, net, shape=x.shape[1:])
    game.step(players, Batch(x, y), CONTEXT)
    z = threat.clip_box(x + kept(players)[:6])
    assert threat.size(z - x).min() > 9
    assert not threat.violations(z, x).any()


def test_steps_count_batches_and_the_rate_follows_them():
    declared = []

    def make_optimizer(variables=None, scale=1.0, updates=1, player="classifier"):
        declared.append(updates)
        optimizer = keras.optimizers.SGD(0.1)
        optimizer.build(variables)
        return optimizer

    games.Free(THREAT, replays=5).make_players(
        peer_setting.deep_net(), make_optimizer, (2, 2, 1), 3
    )
    assert declared == [5]


def train(folder, stop=None):
    """A run of six steps with a checkpoint after each call; interrupted at the step `stop`."""

    def evaluated(step):
        if step == stop:
            raise KeyboardInterrupt

    return mmtf.train(
        games.Free(THREAT, replays=2, batch_size=8),
        peer_setting.dataset(),
        schedule=mmtf.Schedule(steps=6, batch_size=8, learning_rate=1e-2),
        model=peer_setting.deep_net(),
        precision="float32",
        progress=False,
        checkpoint_dir=str(folder),
        checkpoint_seconds=0.0,
        events=Callbacks(on_evaluation=evaluated, evaluate_every=3),
    ).model.get_weights()


def test_a_stopped_run_goes_on_with_the_same_perturbation(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "stopped", stop=3)
    for a, b in zip(train(tmp_path / "whole"), train(tmp_path / "stopped"), strict=True):
        np.testing.assert_array_equal(a, b)


def test_more_examples_than_rows_are_refused():
    game, _, players = started(1, batch_size=4)
    with pytest.raises(ConfigError, match=r"at most 4 examples on a replica, or Free\(batch_size"):
        game.step(players, peer_setting.batch(), CONTEXT)
    unknown = [tf.TensorSpec([None, 2, 2, 1]), tf.TensorSpec([None], tf.int32)]
    step = tf.function(
        lambda x, y: game.step(players, Batch(x, y), CONTEXT), unknown, autograph=False
    )
    with pytest.raises(tf.errors.InvalidArgumentError, match="Expected at most 4 examples"):
        step(*peer_setting.batch())


def test_a_run_has_a_row_for_each_example_of_its_batch():
    config = mmtf.run_config(game="free", schedule_options={"batch_size": 256})
    assert config.game_options["batch_size"] == 256 == config.schedule.batch_size
    assert mmtf.run_config(game="free").game_options["batch_size"] == 128
