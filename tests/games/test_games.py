"""A contract for every game, and the rounds of the cat-and-mouse game."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmtf import losses
from mmtf.attacks.single_step import FGSM
from mmtf.config import Schedule
from mmtf.errors import ConfigError
from mmtf.games import GAMES
from mmtf.games.base import reset_optimizer
from mmtf.games.players import Batch, StepContext
from mmtf.presets import schedule_of
from mmtf.threat import ThreatModel
from mmtf.training.dropout import seeded_dropout

THREAT = ThreatModel(eta=0.2)


def small_net(seed=0):
    return keras.Sequential(
        [
            keras.Input((4, 4, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(
                8, activation="relu", kernel_initializer=keras.initializers.GlorotUniform(seed)
            ),
            keras.layers.Dense(3, kernel_initializer=keras.initializers.GlorotUniform(seed + 1)),
        ]
    )


def players_of(game, net, seed=0):
    def make_optimizer(variables=None, scale=1.0, updates=1, player="classifier"):
        optimizer = keras.optimizers.Adam(0.01 * scale)
        if variables is not None:
            optimizer.build(variables)
        return optimizer

    return game.make_players(net, make_optimizer, (4, 4, 1), 3, seed)


def test_the_seed_reaches_the_attack_network():
    starts = [
        players_of(GAMES["alt_attnet"](THREAT), small_net(), seed).models["attacker"].get_weights()
        for seed in (0, 0, 1)
    ]
    for one, same, other in zip(*starts, strict=True):
        np.testing.assert_array_equal(one, same)
        assert not one.any() or np.abs(one - other).max() > 0.01  # biases begin at 0


def test_extragradients_rate_ends_with_the_run_not_half_way():
    given = []

    def make_optimizer(variables=None, scale=1.0, updates=1, player="classifier"):
        given.append(updates)
        return keras.optimizers.Adam(0.01)

    for solver in ("extragradient", "alternating"):
        game = GAMES["alt_attnet"](THREAT, solver=solver)
        game.make_players(small_net(), make_optimizer, (4, 4, 1), 3)
    assert given == [2, 2, 1, 1]


def context_of(size, number=0):
    return StepContext(
        round=tf.constant(number),
        seed=tf.constant([0, 1]),
        global_batch_size=size,
        replicas=1,
        dropout=functools.partial(seeded_dropout, seed=tf.constant([0, 1])),
    )


def batch(size=6):
    random = np.random.default_rng(0)
    x = random.uniform(-1, 1, [size, 4, 4, 1]).astype(np.float32)
    return Batch(tf.constant(x), tf.constant(random.integers(0, 3, size), tf.int32))


@pytest.mark.parametrize("name", list(GAMES))
def test_a_step_moves_the_classifier_and_reports_its_metrics(name):
    game, net = GAMES[name](THREAT), small_net()
    players, (x, y) = players_of(game, net), batch()
    before = net.get_weights()
    step = tf.function(lambda: game.step(players, Batch(x, y), context_of(6)), autograph=False)
    metrics = step()
    assert set(metrics) == set(game.metrics) and "risk" in metrics
    assert all(np.isfinite(value) for value in metrics.values())
    assert any((a != b).any() for a, b in zip(before, net.get_weights(), strict=True))
    assert repr(game).startswith(type(game).__name__ + "(threat=ThreatModel(eta=0.2")


@pytest.mark.parametrize("name", [name for name in GAMES if "attnet" in name])
def test_each_player_moves_its_own_way(name):
    """Against the other where it stood: the defender lowers the risk, the attacker raises it.

    Without the sensitivity term, whose part has another direction, and without dropout.
    """
    options = {"gamma": 0.0} if "gamma" in GAMES[name](THREAT)._own() else {}
    net_options = {"width": 8, "dropout": 0.0}
    game, net = GAMES[name](THREAT, net_options=net_options, **options), small_net()

    def make_optimizer(variables=None, scale=1.0, updates=1, player="classifier"):
        return keras.optimizers.SGD(1e-2)

    players, (x, y) = game.make_players(net, make_optimizer, (4, 4, 1), 3, 0), batch()
    attacker = players.models["attacker"]

    def risk(u, v):
        now = net.get_weights(), attacker.get_weights()
        net.set_weights(u)
        attacker.set_weights(v)
        found = float(tf.reduce_mean(losses.cross_entropy(net(attacker([x, y])), y)))
        net.set_weights(now[0])
        attacker.set_weights(now[1])
        return found

    u, v = net.get_weights(), attacker.get_weights()
    metrics = game.step(players, Batch(x, y), context_of(6))
    after_u, after_v = net.get_weights(), attacker.get_weights()
    assert risk(after_u, v) < risk(u, v) < risk(u, after_v)
    assert float(metrics["risk"]) == pytest.approx(risk(u, v), rel=0.02)


# Games whose attacker's answer is computed, not learned.
GRADIENT_GAMES = [name for name in GAMES if "attnet" not in name]
# Games without an attack on the examples: clean or noisy images, or bounds.
NO_ATTACK = ("undefended", "smooth_gaussian", "ibp", "crown_ibp")


# `free` has no max step of its own, and `n_fgsm` leaves the ball on purpose: tests/defenses.
@pytest.mark.parametrize("name", [one for one in GRADIENT_GAMES if one not in ("free", "n_fgsm")])
def test_the_max_step_stays_in_ball_and_box(name):
    game, net = GAMES[name](THREAT), small_net()
    players, (x, y) = players_of(game, net), batch()
    z, labels = game.perturb(players, Batch(x, y), context_of(6, number=1))
    order = [0, 2, 4, 1, 3, 5] if name == "adv_fgsm" else range(6)
    assert not THREAT.violations(z.numpy(), x.numpy()[list(order)]).any()
    np.testing.assert_array_equal(labels, y.numpy()[list(order)])


# Games whose max step does not ascend the risk of the label, or that have none of their own.
OTHER_ATTACK = ("free", "cure", "llr", "input_gradient", "distillation", "ensemble_adv")


@pytest.mark.parametrize(
    "name", [name for name in GRADIENT_GAMES if name not in (*NO_ATTACK, *OTHER_ATTACK)]
)
def test_the_max_step_raises_the_risk(name):
    game, net = GAMES[name](THREAT), small_net()
    players, (x, y) = players_of(game, net), batch()
    if game.rounds:
        game.begin_round(players, 1)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    z, labels = game.perturb(players, Batch(x, y), context_of(6, number=1))
    assert float(loss(labels, net(z))) > float(loss(y, net(x)))


@pytest.mark.parametrize("name", list(GAMES))
@pytest.mark.parametrize("schedule", ["fast", "paper"])
def test_schedules_exist(name, schedule):
    assert isinstance(schedule_of(name, "mnist", schedule), Schedule)
    assert isinstance(schedule_of(name, "cifar10", schedule), Schedule)


def test_cat_and_mouse_perturbs_every_other_example_by_the_frozen_classifier():
    game, net = GAMES["adv_fgsm"](THREAT, rounds=2), small_net()
    players, (x, y) = players_of(game, net), batch()
    game.begin_round(players, 1)
    net.set_weights([2 * weight + 0.1 for weight in net.get_weights()])
    frozen = players.models["frozen"]
    expected = FGSM(THREAT)(frozen, x[1::2], y[1::2])
    z, _ = game.perturb(players, Batch(x, y), context_of(6, number=1))
    np.testing.assert_array_equal(z[:3], x[0::2])
    np.testing.assert_allclose(z[3:], expected, atol=1e-6)
    assert (FGSM(THREAT)(net, x[1::2], y[1::2]).numpy() != expected.numpy()).any()


OPTIMIZERS = {
    "sgd": keras.optimizers.SGD(0.1, momentum=0.9),
    "rmsprop": keras.optimizers.RMSprop(momentum=0.5, centered=True),
    "adam": keras.optimizers.Adam(amsgrad=True),
    "adamw": keras.optimizers.AdamW(),
    "adadelta": keras.optimizers.Adadelta(),
    "adagrad": keras.optimizers.Adagrad(initial_accumulator_value=0.3),
    "adamax": keras.optimizers.Adamax(),
    "adafactor": keras.optimizers.Adafactor(),
    "nadam": keras.optimizers.Nadam(),
    "ftrl": keras.optimizers.Ftrl(0.1),
    "lion": keras.optimizers.Lion(),
    "lamb": keras.optimizers.Lamb(keras.optimizers.schedules.ExponentialDecay(0.1, 5, 0.5)),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_new_round_starts_an_optimizer_as_it_was_built(name):
    """But for its learning rate, which a callback may have set."""
    optimizer = OPTIMIZERS[name]
    variables = [keras.Variable(np.ones([2, 3])), keras.Variable(np.ones([3]))]
    optimizer.build(variables)
    built = [one.numpy() for one in optimizer.variables]
    if name != "lamb":  # which has a schedule
        optimizer.learning_rate.assign(0.05)
    for _ in range(3):
        optimizer.apply([tf.fill([2, 3], 2.0), tf.constant([1.0, -1.0, 3.0])], variables)
    moved = [one.numpy() for one in optimizer.variables]
    assert any((a != b).any() for a, b in zip(built[2:], moved[2:], strict=True))
    reset_optimizer(optimizer)
    assert int(optimizer.iterations) == 0
    for before, variable in zip(built, optimizer.variables, strict=True):
        rate = variable.path.endswith("learning_rate")
        np.testing.assert_array_equal(variable, np.float32(0.05) if rate else before)


def test_round_zero_is_undefended():
    game, net = GAMES["adv_fgsm"](THREAT), small_net()
    players, (x, y) = players_of(game, net), batch()
    z, _ = game.perturb(players, Batch(x, y), context_of(6, number=0))
    np.testing.assert_array_equal(z, tf.concat([x[0::2], x[1::2]], 0))


def test_a_new_round_freezes_the_classifier_and_forgets_the_optimizer():
    game, net = GAMES["adv_fgsm"](THREAT), small_net()
    players, (x, y) = players_of(game, net), batch()
    game.step(players, Batch(x, y), context_of(6))
    game.begin_round(players, 1)
    for ours, theirs in zip(net.get_weights(), players.models["frozen"].get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    optimizer = players.updaters["classifier"]
    assert int(optimizer.iterations) == 0
    slots = [v for v in optimizer.variables if "momentum" in v.path or "velocity" in v.path]
    assert slots and not any(slot.numpy().any() for slot in slots)
    assert float(optimizer.learning_rate) == pytest.approx(0.01)


def test_pgd_needs_a_step():
    with pytest.raises(ConfigError, match="max_steps > 0. Received: 0"):
        GAMES["adv_pgd"](THREAT, max_steps=0)
