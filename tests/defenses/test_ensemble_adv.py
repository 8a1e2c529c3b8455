"""Ensemble adversarial training: rounds, the draw of a source, given nets."""

import keras
import numpy as np
import peer_setting
import pytest
import tensorflow as tf
from peer_setting import THREAT

import mmtf
import mmtf.config
from mmtf import games, losses
from mmtf.attacks.single_step import FGSM
from mmtf.errors import ConfigError


def test_static_nets_are_trained_first_each_from_weights_of_its_own():
    game, net = games.EnsembleAdv(THREAT, static_nets=2), peer_setting.deep_net()
    examples, players = peer_setting.batch(), peer_setting.players_of(game, net)
    starts, ends = [net.get_weights()], []
    for number in range(3):
        if number:
            game.begin_round(players, number)
            starts.append(net.get_weights())
        z, _ = game.perturb(players, examples, peer_setting.context_of(6, number))
        assert (z.numpy() != examples.x.numpy()).any() == (number == 2)
        game.step(players, examples, peer_setting.context_of(6, number))
        ends.append(net.get_weights())
    for one in (1, 2):  # the same entries in another order
        assert (starts[one][0] != starts[0][0]).any()
        np.testing.assert_array_equal(
            np.sort(starts[one][0].ravel()), np.sort(starts[0][0].ravel())
        )
    assert (starts[1][0] != starts[2][0]).any()
    for number in (0, 1):
        kept = players.models[f"trained_{number}"].get_weights()
        for a, b in zip(ends[number], kept, strict=True):
            np.testing.assert_array_equal(a, b)


def test_each_batch_has_one_source_for_predicted_labels():
    game, net = games.EnsembleAdv(THREAT), peer_setting.deep_net()
    examples, players = peer_setting.batch(), peer_setting.players_of(game, net)
    net.set_weights([0.7 * one[::-1] for one in net.get_weights()])
    sources = {"own": net, "static": players.models["trained_0"]}
    expected = {
        name: FGSM(THREAT)(one, examples.x, tf.argmax(one(examples.x), -1, tf.int32)).numpy()
        for name, one in sources.items()
    }
    assert (expected["own"] != expected["static"]).any()
    drawn = []
    for number in range(12):  # both occur unless a coin falls 12 times alike
        context = peer_setting.context_of(6, number=1, seed=(5, number))
        z = game.perturb(players, examples, context).x.numpy()
        drawn += [name for name, images in expected.items() if np.allclose(z, images, atol=1e-6)]
    assert len(drawn) == 12 and set(drawn) == {"own", "static"}


def test_the_objective_is_half_clean_half_perturbed():
    game, net = games.EnsembleAdv(THREAT), peer_setting.deep_net()
    (x, y), players = peer_setting.batch(), peer_setting.players_of(game, net)
    z = THREAT.project(x + 0.2, x)
    one, other = games.Batch(x, y), games.Batch(z, y)
    loss, metrics = game.objective(players, one, other, peer_setting.context_of(6, 1))
    risks = [float(tf.reduce_mean(losses.cross_entropy(net(part), y))) for part in (x, z)]
    assert float(loss) == pytest.approx(sum(risks) / 2, rel=1e-5)
    assert [float(metrics[name]) for name in ("clean_risk", "risk")] == pytest.approx(
        risks, rel=1e-5
    )


def test_given_nets_are_sources_and_stay_as_they_are(tmp_path):
    static = peer_setting.linear_net()
    path = str(tmp_path / "static.keras")
    static.save(path)
    game = games.EnsembleAdv(THREAT, static_nets=0, static_paths=[path])
    net, examples = peer_setting.deep_net(), peer_setting.batch()
    players = peer_setting.players_of(game, net)
    assert game.rounds == 0 and "trained_0" not in players.models
    before = net.get_weights()
    step = tf.function(
        lambda seed: game.step(players, examples, peer_setting.context_of(6, seed=seed)),
        autograph=False,
    )
    for number in range(4):
        step(tf.constant([1, number]))
    assert any((a != b).any() for a, b in zip(before, net.get_weights(), strict=True))
    for a, b in zip(static.get_weights(), players.models["given_0"].get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("shape", [(3, 3, 1), (2, 2, 3)])
def test_nets_for_other_images_are_refused(tmp_path, shape):
    path = str(tmp_path / "static.keras")
    layers = [keras.Input(shape), keras.layers.Flatten(), keras.layers.Dense(3)]
    keras.Sequential(layers).save(path)
    game = games.EnsembleAdv(THREAT, static_paths=[path])
    told = r"static_paths, .*static.keras: Expected a model of images \(2, 2, 1\)"
    with pytest.raises(ConfigError, match=told) as raised:
        peer_setting.players_of(game, peer_setting.deep_net())
    assert "\n" not in str(raised.value)


def test_what_is_missing_is_said(tmp_path):
    with pytest.raises(ConfigError, match="static_nets or static_paths"):
        games.EnsembleAdv(THREAT, static_nets=0)
    with pytest.raises(ConfigError, match="static_paths as a list"):
        games.EnsembleAdv(THREAT, static_paths="a.keras")
    game = games.EnsembleAdv(THREAT, static_paths=[str(tmp_path / "none.keras")])
    with pytest.raises(ConfigError, match="none.keras"):
        peer_setting.players_of(game, peer_setting.deep_net())
    config = mmtf.run_config(game="ensemble_adv", game_options={"static_paths": ["a", "b"]})
    assert mmtf.config.RunConfig.from_dict(config.to_dict()) == config
