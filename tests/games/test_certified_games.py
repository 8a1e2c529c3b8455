"""Certified games: their bounds, their limits, and the ramp of the radius."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import mmtf
from mmtf.bounds import BOUNDS, Ball
from mmtf.bounds.training import TrainingBounds
from mmtf.config import RunConfig
from mmtf.errors import ConfigError
from mmtf.games import GAMES
from mmtf.games.certified import certified_loss
from mmtf.games.players import Batch, StepContext
from mmtf.nets import NETS
from mmtf.training.callbacks import Callbacks

L = keras.layers
THREAT = mmtf.ThreatModel(eta=0.2)
CERTIFIED = ("ibp", "crown_ibp", "mtl_ibp", "pgd_mtl_ibp", "sabr")
rng = np.random.default_rng(0)


def net(seed=0, pooled=False):
    keras.utils.set_random_seed(seed)
    pool = [L.MaxPooling2D(2)] if pooled else []
    first = L.Conv2D(4, 3, 2, "same", activation="relu")
    return keras.Sequential(
        [keras.Input((6, 6, 1)), first, *pool, L.Flatten(), L.Dense(5, "relu"), L.Dense(3)]
    )


def examples(count=8):
    x = rng.uniform(-1, 1, [count, 6, 6, 1]).astype(np.float32)
    return x, rng.integers(0, 3, count).astype(np.int32)


def context(size, strength=None, number=0):
    return StepContext(
        round=tf.constant(number),
        seed=tf.constant([0, 1]),
        global_batch_size=size,
        replicas=1,
        dropout=None,
        strength=None if strength is None else tf.constant(strength),
    )


def players_of(game, model):
    return game.make_players(model, lambda variables: None, (6, 6, 1), 3)


@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize("name", ["ibp", "crown_ibp"])
def test_bounds_of_training_are_those_of_the_verifiers(name, pooled):
    model, (x, y) = net(pooled=pooled), examples()
    bounds = TrainingBounds(model)
    margins = getattr(bounds, name)(THREAT.region(x), tf.constant(y))
    if name == "crown_ibp":
        np.testing.assert_allclose(margins[0], bounds.ibp(THREAT.region(x), y), rtol=1e-5)
        margins = tf.maximum(*margins)
    exact = BOUNDS[name](model)(x, y, Ball(eta=0.2))
    others = np.arange(3) != y[:, None]
    np.testing.assert_allclose(margins.numpy()[others], exact[others], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(margins.numpy()[~others], 0, atol=1e-6)


def test_the_certified_loss_of_a_linear_model_is_its_worst_cross_entropy():
    model = keras.Sequential([keras.Input((6, 6, 1)), L.Flatten(), L.Dense(2)])
    x, y = examples()
    y = y % 2
    loss = certified_loss(TrainingBounds(model).ibp(THREAT.region(x), y), y)
    # With two classes the worst image lowers the one margin: x -+ eta sign(w_y - w_j) in the box.
    w = model.layers[-1].kernel.numpy()
    difference = (w[:, 0] - w[:, 1])[None] * np.where(y == 0, 1, -1)[:, None]
    worst = np.clip(x - 0.2 * np.sign(difference).reshape(x.shape), -1, 1)
    expected = mmtf.losses.cross_entropy(model(worst), tf.constant(y))
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["ibp", "mtl_ibp", "sabr"])
def test_the_certified_risk_is_at_least_the_risk_of_every_attack(name):
    game, model, (x, y) = GAMES[name](THREAT), net(), examples(32)
    if name == "sabr":
        game = GAMES[name](THREAT, share=1.0)
    players = players_of(game, model)
    batch = Batch(tf.constant(x), tf.constant(y))
    _, found = game.objective(players, batch, batch, context(32))
    for number in range(20):
        noise = rng.choice([-0.2, 0.2], x.shape).astype(np.float32)
        z = np.clip(x + noise, -1, 1)
        assert float(tf.reduce_mean(mmtf.losses.cross_entropy(model(z), y))) <= float(
            found["certified_risk"]
        ), number


def objective(name, model, x, y, strength=None, number=0, **options):
    game = GAMES[name](THREAT, **options)
    players, batch = players_of(game, model), Batch(tf.constant(x), tf.constant(y))
    now = context(len(x), strength, number)
    perturbed = game.perturb(players.shrunk(batch.x, now), batch, now)
    perturbed = perturbed._replace(x=now.shrink(perturbed.x, batch.x))
    return float(game.objective(players, batch, perturbed, now)[0])


def test_the_ends_of_the_games_are_each_other():
    model, (x, y) = net(), examples(16)
    pure = objective("ibp", model, x, y, clean_weight=0.0)
    assert objective("mtl_ibp", model, x, y, alpha=1.0) == pytest.approx(pure, rel=1e-5)
    assert objective("sabr", model, x, y, share=1.0) == pytest.approx(pure, rel=1e-5)
    assert objective("crown_ibp", model, x, y, clean_weight=0.0) == pytest.approx(pure, rel=1e-5)
    attacked = objective("adv_pgd", model, x, y, max_steps=1)
    assert objective("mtl_ibp", model, x, y, alpha=0.0) == pytest.approx(attacked, rel=1e-5)
    assert objective("pgd_mtl_ibp", model, x, y) == pytest.approx(attacked, rel=1e-5)
    mixed = objective("mtl_ibp", model, x, y, alpha=0.1)
    assert mixed == pytest.approx(0.9 * attacked + 0.1 * pure, rel=1e-5)
    assert objective("pgd_mtl_ibp", model, x, y, number=1) == pytest.approx(mixed, rel=1e-5)
    assert attacked <= pure


def test_the_players_of_one_game_keep_their_own_bounds():
    game, (x, y) = GAMES["ibp"](THREAT, clean_weight=0.0), examples(16)
    first, second = (players_of(game, net(seed)) for seed in (0, 1))
    batch = Batch(tf.constant(x), tf.constant(y))
    found = [game.objective(one, batch, batch, context(16))[0] for one in (first, second)]
    expected = [objective("ibp", net(seed), x, y, clean_weight=0.0) for seed in (0, 1)]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert found[0] != found[1]


def test_the_strength_scales_the_ball():
    model, (x, y) = net(), examples(16)
    clean = float(tf.reduce_mean(mmtf.losses.cross_entropy(model(x), y)))
    assert objective("sabr", model, x, y, strength=1e-6) == pytest.approx(clean, rel=1e-3)
    half = GAMES["sabr"](THREAT, share=1.0).small_box(x, x, context(16, 0.5))
    np.testing.assert_allclose(half[1], np.minimum(x + 0.1, 1), rtol=1e-6)
    # IBP weighs the clean loss by 1 at strength 0 and by clean_weight at 1.
    assert objective("ibp", model, x, y, strength=1e-6) == pytest.approx(clean, rel=1e-3)


def test_small_boxes_lie_in_the_ball():
    x, _ = examples()
    z = THREAT.project(x + rng.choice([-1.0, 1.0], x.shape).astype(np.float32), x)
    low, high = GAMES["sabr"](THREAT, share=0.3).small_box(tf.constant(x), z, context(8))
    assert not THREAT.violations(low, x).any() and not THREAT.violations(high, x).any()
    inside = np.abs(x) < 0.7
    np.testing.assert_allclose((high - low)[inside], 2 * 0.3 * 0.2, rtol=1e-5)


def test_weights_are_penalized():
    model, (x, y) = net(), examples()
    without = objective("ibp", model, x, y)
    kernels = [one.numpy() for one in model.trainable_variables if one.shape.rank > 1]
    expected = 0.01 * sum(np.abs(one).sum() for one in kernels)
    assert objective("ibp", model, x, y, weight_l1=0.01) - without == pytest.approx(expected, 1e-4)


@pytest.mark.parametrize(
    "name",
    [one if one == "mtl_ibp" else pytest.param(one, marks=pytest.mark.slow) for one in CERTIFIED],
)
def test_they_train_to_a_smaller_certified_error(name):
    data = mmtf.load_data("digits")
    model = NETS["strided_cnn"](width=4, hidden=16)
    game = GAMES[name](THREAT)
    schedule = mmtf.Schedule(steps=60, batch_size=64, learning_rate=5e-3, eta_ramp=0.5)
    before = model.get_weights()
    risks = []
    events = Callbacks(on_metrics=lambda step, found: risks.append(found))
    mmtf.train(
        game, data, schedule=schedule, model=model, precision="float32", progress=False,
        events=events,
    )  # fmt: skip
    x, y = data.test(200)
    bound = BOUNDS["ibp"]
    trained = (bound(model)(x, y, THREAT).min(1) <= 0).mean()
    model.set_weights(before)
    assert (bound(model)(x, y, THREAT).min(1) <= 0).mean() == 1.0
    assert trained < 1.0
    assert all(set(found) == set(game.metrics) for found in risks) and risks


def test_models_with_batch_norm_play_and_keep_their_statistics():
    model = NETS["cnn7"](image_shape=(6, 6, 1), num_classes=3, width=2, hidden=4)
    x, y = examples(16)
    found = objective("mtl_ibp", model, x, y)
    moved = [one.numpy() for one in model.non_trainable_variables if "moving_mean" in one.path]
    assert np.isfinite(found) and any(np.abs(one).max() > 0 for one in moved)
    assert (
        NETS["cnn7"](batch_norm=False, width=2).count_params()
        < NETS["cnn7"](width=2).count_params()
    )


def test_the_ibp_initializer_keeps_intervals_narrow():
    plain, narrow = (NETS["strided_cnn"](init=init, seed=1) for init in ("keras", "ibp"))
    x, y = mmtf.load_data("digits").test(20)
    low = [BOUNDS["ibp"](one)(x, y, THREAT).min(1).mean() for one in (plain, narrow)]
    assert low[0] < low[1] < 0
    dense = narrow.layers[-2].kernel.numpy()
    deviation = np.sqrt(2 * np.pi) / dense.shape[0]
    # The deviation of n normal values has the relative error 1 / sqrt(2 n).
    assert dense.std() == pytest.approx(deviation, rel=4 / np.sqrt(2 * dense.size))


def test_refusals():
    with pytest.raises(ConfigError, match="norm linf for MTLIBP"):
        GAMES["mtl_ibp"](mmtf.ThreatModel(eta=1.0, norm="l2"))
    for name, options in (
        ("mtl_ibp", {"alpha": 1.5}),
        ("sabr", {"share": 0.0}),
        ("ibp", {"clean_weight": -1}),
        ("crown_ibp", {"crown_weight": 2}),
        ("ibp", {"weight_l1": -1}),
    ):
        with pytest.raises(ConfigError, match=next(iter(options))):
            GAMES[name](THREAT, **options)
    unsupported = keras.Sequential([keras.Input((6, 6, 1)), L.Flatten(), L.UnitNormalization()])
    with pytest.raises(ConfigError, match="unit_normalization"):
        players_of(GAMES["ibp"](THREAT), unsupported)
    with pytest.raises(ConfigError, match="eta_ramp"):
        mmtf.Schedule(steps=1, eta_ramp=1.5)


class Watched(mmtf.games.LWA):
    """LWA that reports the strength of each step as its risk."""

    def objective(self, players, clean, perturbed, context):
        loss, _ = super().objective(players, clean, perturbed, context)
        return loss, {"risk": tf.identity(context.strength)}


def test_the_radius_rises_linearly_in_every_round():
    class Rounds(Watched):
        rounds = 1

    seen = []
    mmtf.train(
        Rounds(THREAT),
        mmtf.load_data("digits"),
        schedule=mmtf.Schedule(steps=4, first_steps=8, batch_size=8, eta_ramp=0.5),
        model=NETS["strided_cnn"](width=1, hidden=2),
        precision="float32",
        progress=False,
        events=Callbacks(
            on_metrics=lambda step, found: seen.append(found["risk"]),
            on_evaluation=lambda step: None,
            evaluate_every=1,
        ),
    )
    expected = [0.25, 0.5, 0.75, 1, 1, 1, 1, 1, 0.5, 1, 1, 1]
    np.testing.assert_allclose(np.ravel(seen), expected, rtol=1e-6)


def test_configs_without_a_ramp_are_as_before_it_existed():
    config = mmtf.run_config(game="lwa")
    assert "eta_ramp" not in config.to_dict()["schedule"]
    assert RunConfig.from_dict(config.to_dict()) == config
    ramped = mmtf.run_config(game="lwa", schedule_options={"eta_ramp": 0.25})
    assert RunConfig.from_dict(ramped.to_dict()) == ramped != config


def test_both_rounds_of_pgd_mtl_ibp_train_at_a_rate_that_falls_to_zero():
    model, kept = NETS["strided_cnn"](width=2, hidden=4), []
    schedule = mmtf.Schedule(steps=3, batch_size=16, learning_rate=1e-2, decay="cosine")
    events = Callbacks(on_round_end=lambda number: kept.append(model.get_weights()))
    mmtf.train(
        GAMES["pgd_mtl_ibp"](THREAT, alpha=1), mmtf.load_data("digits"), schedule=schedule,
        model=model, precision="float32", progress=False, events=events,
    )  # fmt: skip
    moved = [np.abs(one - other).max() for one, other in zip(*kept, strict=True)]
    assert max(moved) > 5e-3  # Adam's first step is about the rate, 1e-2
