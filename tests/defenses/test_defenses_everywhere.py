"""All defenses alike: weights of examples, compile and fit, precision, flags, and names."""

import keras
import numpy as np
import peer_setting
import pytest
import tensorflow as tf
from peer_setting import REPEATABLE

import mmtf
import mmtf.config
import mmtf.errors
import mmtf.runs.games
from mmtf import defenses, games
from mmtf.classifiers.precision import computing_in
from mmtf.defenses.ascent import NearbyAscent
from mmtf.games.players import Batch

NAMES = [name for name, place in games.GAMES._places.items() if place.startswith("mmtf.defenses")]


def make(name, threat=REPEATABLE):
    if name == "awp":
        return games.AWP(games.LWA(threat), gamma=0.1)
    steps = {"max_steps": 2} if name in ("trades", "mart", "llr") else {}
    return games.GAMES[name](threat, **({"replays": 2} if name == "free" else steps))


def test_both_rooms_offer_the_classes():
    assert set(dir(defenses)) == set(games.DEFENSES) <= set(dir(games))
    assert defenses.Trades is games.Trades is games.GAMES["trades"]
    assert {games.GAMES[name].__name__ for name in NAMES} == set(games.DEFENSES) - {"AWP"}
    with pytest.raises(AttributeError, match="no attribute 'Madry'"):
        defenses.Madry  # noqa: B018


@pytest.mark.parametrize("name", [*NAMES, "awp"])
def test_an_example_of_weight_k_counts_as_k_copies(name, monkeypatch):
    monkeypatch.setattr(NearbyAscent, "start", lambda self, x, seed: x + 0.05 * tf.sin(40.0 * x))
    x, y = peer_setting.batch(4)
    rows = [0, 0, 0, 1, 3, 3]  # weights 3, 1, 0, 2
    weighted = Batch(x, y), 4, tf.constant([3.0, 1.0, 0.0, 2.0])
    copied = Batch(tf.gather(x, rows), tf.gather(y, rows)), 6, None
    moves = []
    for examples, size, weights in (weighted, copied):
        game, net = make(name), peer_setting.deep_net()
        players, start = peer_setting.players_of(game, net), net.get_weights()
        size = 6 if name == "free" else size  # whose second step depends on the first
        game.step(players, examples, peer_setting.context_of(size, weights=weights))
        # Sums over the examples, which a step divides by their number.
        pairs = zip(net.get_weights(), start, strict=True)
        moves.append([size * (after - before) for after, before in pairs])
    for ours, theirs in zip(*moves, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("name", ["trades", "free", "grad_align", "ensemble_adv", "awp"])
def test_a_step_in_bfloat16(name):
    game, net = make(name), peer_setting.deep_net()
    players, examples = peer_setting.players_of(game, net), peer_setting.batch()
    with computing_in(net, "bfloat16"):
        metrics = game.step(players, examples, peer_setting.context_of(6, number=1))
    assert all(np.isfinite(float(one)) for one in metrics.values())
    assert all(np.isfinite(one).all() for one in net.get_weights())


def fitted(name):
    model = mmtf.AdversarialModel(
        peer_setting.deep_net(True),
        make(name),
        warmup_steps=2,
        **({"epochs_per_round": 1} if make(name).rounds else {}),
    )
    model.compile(keras.optimizers.Adam(1e-2), metrics=["accuracy"])
    (x, y), (u, v) = peer_setting.batch(10), peer_setting.batch(4, seed=1)
    logs = model.fit(x, y, batch_size=4, epochs=2, verbose=0, validation_data=(u, v)).history
    assert {"loss", "risk", "adversarial_accuracy", "val_accuracy"} <= set(logs)
    assert all(np.isfinite(one).all() for one in logs.values())


@pytest.mark.slow
@pytest.mark.parametrize("name", [*NAMES, "awp"])
def test_compile_and_fit_of_all(name):
    fitted(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*NAMES, "awp"])
def test_steps_compiled_by_xla(name):
    trained = mmtf.train(
        make(name),
        peer_setting.dataset(),
        schedule=mmtf.Schedule(steps=2, batch_size=8, learning_rate=1e-2),
        model=peer_setting.deep_net(),
        precision="float32",
        progress=False,
        jit_compile=True,
    )
    assert all(np.isfinite(one).all() for one in trained.model.get_weights())


def test_presets_have_the_authors_values():
    paper = mmtf.run_config(game="trades", dataset="mnist", schedule="paper").game_options
    assert (paper["beta"], paper["max_steps"], paper["relative_step"]) == (1.0, 40, 1 / 30)
    # 40 steps of 0.01 at eps 0.3; 10 of 0.007 at 0.031.
    assert paper["relative_step"] * 0.3 == pytest.approx(0.01)
    cifar = mmtf.run_config(game="trades", dataset="cifar10").game_options
    assert (cifar["beta"], cifar["max_steps"]) == (6.0, 10)
    assert cifar["relative_step"] * 0.031 == pytest.approx(0.007)
    fast = mmtf.run_config(game="trades", dataset="digits").game_options
    assert (fast["beta"], fast["max_steps"]) == (1.0, 10)


def test_awp_is_a_setting_of_any_run():
    plain, config = mmtf.run_config(game="trades"), mmtf.run_config(game="trades", awp_gamma=0.005)
    assert "awp_gamma" not in plain.to_dict() and config.to_dict()["awp_gamma"] == 0.005
    assert config.game_options == plain.game_options
    assert mmtf.config.RunConfig.from_dict(config.to_dict()) == config
    game = mmtf.runs.games.make_game(config)
    assert isinstance(game, games.AWP) and isinstance(game.game, games.Trades)
    assert game.gamma == 0.005 and game.game.beta == 1.0
    with pytest.raises(mmtf.errors.ConfigError, match="awp_gamma >= 0"):
        mmtf.run_config(awp_gamma=-1.0)
