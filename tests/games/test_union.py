"""The union game: its rules, its attackers, and the games that it is with a single attacker."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from test_games import batch, context_of, players_of, small_net

import mmtf
from mmtf.errors import ConfigError
from mmtf.games import LWA, AdvPGD, MinimaxGrad, Union
from mmtf.games.union_attackers import make_attackers
from mmtf.games.union_rules import FLOOR, RULES, Tally, chosen_by, reweighed
from mmtf.losses import cross_entropy
from mmtf.nets import NETS
from mmtf.threat import ThreatModel
from mmtf.training.callbacks import Callbacks

THREAT = ThreatModel(eta=0.2)
RADII = {"eta_l2": 0.6, "eta_l1": 1.5}


def union(attackers, **options):
    balls = {name: eta for name, eta in RADII.items() if name[3:] in attackers}
    return Union(THREAT, attackers=attackers, **{**balls, **options})


def after(game, steps=3):
    """Weights after some steps, and the metrics of the last one."""
    net, given = small_net(), batch()
    players = players_of(game, net)
    play = tf.function(lambda: game.step(players, given, context_of(6)), autograph=False)
    for _ in range(steps):
        metrics = play()
    return net.get_weights(), {name: float(value) for name, value in metrics.items()}


@pytest.mark.parametrize(
    "attackers, options, alone",
    [
        *(("fgsm", {"rule": rule}, LWA(THREAT)) for rule in RULES),
        ("pgd", {"max_steps": 3}, AdvPGD(THREAT, max_steps=3)),
        ("fgsm", {"gamma": 0.7}, MinimaxGrad(THREAT, gamma=0.7)),
    ],
)
def test_a_single_attacker_is_the_game_of_that_attack(attackers, options, alone):
    ours, _ = after(union(attackers, **options))
    theirs, _ = after(alone)
    for a, b in zip(ours, theirs, strict=True):
        if "gamma" in options:  # the factors of the penalty are multiplied in another order
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-6)
        else:
            np.testing.assert_array_equal(a, b)


def test_the_risks_of_the_rules_are_ordered():
    """E max_k >= max_k E >= the mean over k, for the same classifier."""
    risks = {}
    for rule in ("example_max", "batch_max", "average"):
        _, metrics = after(union("fgsm,fgm_l2,fgm_l1,none", rule=rule), steps=1)
        risks[rule] = metrics["risk"]
        each = [value for name, value in metrics.items() if name.startswith("risk_")]
        chosen = [value for name, value in metrics.items() if name.startswith("chosen_")]
        assert sum(chosen) == pytest.approx(1, abs=1e-6) and len(chosen) == len(each) == 4
        if rule == "batch_max":
            assert metrics["risk"] == pytest.approx(max(each), rel=1e-6)
            assert chosen[int(np.argmax(each))] == 1
        if rule == "average":
            assert metrics["risk"] == pytest.approx(np.mean(each), rel=1e-6)
    assert risks["example_max"] >= risks["batch_max"] > risks["average"]


def test_each_example_gets_its_strongest_attacker(rng):
    losses = rng.normal(size=(3, 50)).astype(np.float32)
    risks = tf.constant(losses.mean(1))
    best = chosen_by("example_max", tf.constant(losses), risks)
    np.testing.assert_array_equal(best, losses.argmax(0))
    one = chosen_by("batch_max", tf.constant(losses), risks)
    np.testing.assert_array_equal(one, np.full(50, losses.mean(1).argmax()))


@pytest.mark.parametrize(
    "attackers, strength",
    [
        *((name, None) for name in ("fgsm", "pgd", "fgm", "pgd_l2", "pgd_l1", "mlp", "unet_l2")),
        *((name, 0.25) for name in ("fgsm", "pgd_l2", "pgd_l1", "conv_l1")),
    ],
)
def test_every_attacker_keeps_its_own_ball(attackers, strength, excess):
    game = union(attackers, eta_l2=0.6) if attackers == "fgm" else union(attackers)
    players, given = players_of(game, small_net()), batch()
    context = context_of(6)
    if strength is not None:
        context = dataclasses.replace(context, strength=tf.constant(strength))
    z = context.shrink(game.perturb(players, given, context).x, given.x)
    ball = game.parts[0].threat
    ball = ball.with_radius(ball.eta * (strength or 1.0))
    assert excess(z, given.x, ball).max() < 2e-6  # 16 roundings in l1
    assert ball.size((z - given.x).numpy()).max() > 0.2 * ball.eta


def test_weights_follow_the_risks_and_keep_the_floor(rng):
    weights = tf.constant([1 / 3] * 3)
    for _ in range(500):
        weights = reweighed(weights, tf.constant([2.0, 0.1, 1.0]))
    weights = weights.numpy()
    assert weights.sum() == pytest.approx(1, abs=1e-6) and weights.argmax() == 0
    assert weights.min() >= FLOOR / 3 * (1 - 1e-6) and weights[0] > 0.8
    back = tf.constant(weights)
    for _ in range(500):  # what was at the floor comes back
        back = reweighed(back, tf.constant([0.1, 2.0, 1.0]))
    assert back.numpy().argmax() == 1
    _, metrics = after(union("fgsm,none", rule="weights"), steps=20)
    assert metrics["chosen_fgsm"] > 0.5 > metrics["chosen_none"] > FLOOR / 2


def test_each_attacker_is_drawn_as_often_as_the_others():
    tally = Tally(3, seed=5)
    drawn = np.array([int(tally.draw(tf.constant(step))) for step in range(600)])
    # 4 standard deviations of a count of 600 / 3.
    assert np.abs(np.bincount(drawn, minlength=3) - 200).max() < 4 * np.sqrt(600 * 2 / 9)
    game = union("fgsm,pgd_l2,none", rule="drawn")
    players, given = players_of(game, small_net()), batch()
    chosen = []
    play = tf.function(lambda: game.step(players, given, context_of(6)), autograph=False)
    for _ in range(12):
        metrics = play()
        chosen.append([float(metrics[f"chosen_{one.name}"]) for one in game.parts])
        assert sorted(chosen[-1]) == [0, 0, 1]
    assert np.sum(chosen, 0).min() > 0
    # A risk that was not computed in this step is the one computed last.
    assert all(float(metrics[f"risk_{one.name}"]) > 0 for one in game.parts)


@pytest.mark.parametrize("rule", ["batch_max", "drawn"])
def test_learned_attackers_raise_their_own_risks(rule):
    game = union("conv,mlp_l2,fgsm", rule=rule)
    net, given = small_net(), batch()

    def make_optimizer(variables=None, scale=1.0, updates=1, player="classifier"):
        return keras.optimizers.SGD(1e-2 if player == "attacker" else 0.0)

    players = game.make_players(net, make_optimizer, (4, 4, 1), 3, 0)

    def risk(name):
        attacker = players.models[f"attacker_{name}"]
        return float(tf.reduce_mean(cross_entropy(net(attacker([*given])), given.y)))

    before = {name: risk(name) for name in ("conv", "mlp_l2")}
    play = tf.function(lambda: game.step(players, given, context_of(6)), autograph=False)
    for _ in range(8):
        play()
    assert all(risk(name) > before[name] for name in before)


def test_the_penalty_has_the_radius_of_each_examples_attacker():
    game = union("fgsm,fgm_l2", rule="example_max", gamma=0.8)
    net, given = small_net(), batch()
    players = players_of(game, net)
    each, images = [], []
    for part, attack in zip(game.parts, (game.parts[0], game.parts[1]), strict=True):
        z = attack.training_attack(1)(players.classifier, *given)
        images.append(z.numpy())
        each.append(cross_entropy(net(z), given.y).numpy())
        assert part.threat.radius in (0.2, 0.6)
    chosen = np.argmax(each, 0)
    assert set(chosen) == {0, 1}  # else the test shows nothing
    z = tf.constant(np.where(chosen[:, None, None, None] == 0, *images))
    with tf.GradientTape() as tape:
        tape.watch(z)
        total = tf.reduce_sum(cross_entropy(net(z), given.y))
    squares = (tape.gradient(total, z).numpy() ** 2).sum((1, 2, 3))
    expected = 0.8 / 2 * np.mean(np.array([0.2, 0.6])[chosen] * squares)
    metrics = game.step(players, given, context_of(6))
    assert float(metrics["sensitivity"]) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"attackers": "fgsm,chess"}, "attackers of none, .*Received: chess"),
        ({"attackers": "fgsm,fgsm"}, "attackers of different names"),
        ({"attackers": ""}, "attackers of different names"),
        ({"attackers": "pgd_l2"}, "eta_l2 for the attacker pgd_l2"),
        ({"attackers": "fgsm_l2", "eta_l2": 1.0}, "fgsm in a ball of the norm linf"),
        ({"attackers": "fgsm", "eta_l1": 1.0}, "an attacker in the l1 ball with eta_l1"),
        ({"attackers": "fgsm", "rule": "best"}, "rule to be one of example_max"),
        ({"attackers": "fgsm", "attacker_rate": 0.0}, "attacker_rate > 0"),
        ({"attackers": "fgsm", "gamma": -1.0}, "gamma >= 0"),
        ({"attackers": "mmtf.losses:margin", "eta_l2": 1.0}, "eta_l2"),
    ],
)
def test_impossible_unions_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        Union(THREAT, **options)
    with pytest.raises(ConfigError, match="norm linf, that of eta"):
        Union(ThreatModel(eta=0.3, norm="l2"))


def test_attackers_of_the_user_come_by_their_place():
    balls = {"linf": THREAT}
    made = make_attackers(
        ["mmtf.attacks.single_step:FGSM", "mmtf.nets.mlp_attacker:attack_mlp"], balls
    )
    assert [(one.name, one.learned) for one in made] == [
        ("mmtf_attacks_single_step_fgsm", False),
        ("attack_mlp", True),
    ]
    assert made[0].training_attack(1).threat is THREAT


class Stopped(Exception):
    pass


@pytest.mark.parametrize("rule", ["weights", pytest.param("drawn", marks=pytest.mark.slow)])
def test_a_stopped_training_goes_on_bitwise(rule, tmp_path):
    """With its learned attackers, their optimizers, the weights and the latest risks."""
    data = mmtf.load_data("digits")
    schedule = mmtf.Schedule(steps=6, batch_size=16, learning_rate=1e-3, eta_ramp=0.5)

    def train(**options):
        game = Union(THREAT, attackers="mlp,fgm,mlp_l2", eta_l2=2.0, rule=rule)
        net = NETS["strided_cnn"](width=4, hidden=8)
        trained = mmtf.train(
            game, data, schedule=schedule, model=net, precision="float32", progress=False, **options
        )
        players = trained.trainer.players
        assert set(players.models) == {"classifier", "attacker_mlp", "attacker_mlp_l2"}
        tally = players.updaters["tally"]
        found = [one for model in players.models.values() for one in model.get_weights()]
        return [*found, tally.weights.numpy(), tally.risks.numpy()]

    def stop(step):
        if step == 4:
            raise Stopped

    folder = {"checkpoint_dir": str(tmp_path), "checkpoint_seconds": 0.0}
    with pytest.raises(Stopped):
        train(**folder, events=Callbacks(on_evaluation=stop, evaluate_every=4))
    for ours, theirs in zip(train(**folder), train(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
