"""AWP: the length of the perturbation, the gradient at the moved weights, weights restored."""

import keras
import numpy as np
import peer_setting
import pytest
import tensorflow as tf
from peer_setting import REPEATABLE, THREAT

import mmtf
from mmtf import games, losses
from mmtf.config import Schedule
from mmtf.defenses.awp import perturbation
from mmtf.errors import ConfigError
from mmtf.training.monitor import refuse_options


@pytest.mark.parametrize("options", [{"gamma": 0.0}, {"gamma": 0.5, "after": 9}])
def test_without_a_perturbation_it_is_the_game_itself(options):
    base = games.AdvPGD(THREAT, max_steps=2)
    ours, theirs = (
        peer_setting.weights_after(game, peer_setting.deep_net(True), peer_setting.batch(), 3)
        for game in (games.AWP(base, **options), base)
    )
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_perturbation_has_gammas_length_in_each_tensor():
    random = np.random.default_rng(0)
    for shape in ((3, 4), (2, 2, 3, 5)):
        w, d = (tf.constant(random.normal(size=shape), tf.float32) for _ in range(2))
        v = perturbation(w, d, 0.01)
        assert float(tf.norm(v) / tf.norm(w)) == pytest.approx(0.01, rel=1e-5)
        along, most = float(tf.reduce_sum(v * d)), float(tf.norm(v) * tf.norm(d))
        assert along == pytest.approx(most, rel=1e-5)
    assert not perturbation(tf.ones([3]), tf.ones([3]), 0.01).numpy().any()  # a bias
    assert not perturbation(tf.ones([2, 2]), tf.zeros([2, 2]), 0.01).numpy().any()
    assert not perturbation(tf.ones([2, 2]), None, 0.01).numpy().any()


# `finite_difference` opens the context of dropout once more within the objective.
BASES = {
    "trades": {"max_steps": 1},
    "minimax_grad": {"penalty": "finite_difference"},
    "adv_fgsm": {},
    "grad_align": {"gamma": 2.0},
    "mtl_ibp": {"alpha": 0.5},
    "union": {"attackers": "fgsm,pgd_l2", "eta_l2": 0.5},
}


@pytest.mark.parametrize("name", BASES)
def test_a_step_is_the_games_own_step_at_moved_weights(name):
    """The weights moved by hand, one step of the game, and moved back."""
    base = games.GAMES[name](REPEATABLE, **BASES[name])
    ours, theirs = peer_setting.deep_net(dropout=0.3), peer_setting.deep_net(dropout=0.3)
    examples, context = peer_setting.batch(), peer_setting.context_of(6)
    game = games.AWP(base, gamma=0.3)
    game.step(peer_setting.players_of(game, ours), examples, context)

    players = peer_setting.players_of(base, theirs)
    perturbed, context = base.max_step(players, examples, context)
    with tf.GradientTape() as tape, context.dropout(theirs):
        loss, _ = base.objective(players, examples, perturbed, context)
    moves = [
        perturbation(tf.convert_to_tensor(one), gradient, 0.3)
        for one, gradient in zip(
            theirs.trainable_variables, tape.gradient(loss, theirs.trainable_variables), strict=True
        )
    ]
    for variable, move in zip(theirs.trainable_variables, moves, strict=True):
        variable.assign_add(move)
    base.min_step(players, examples, perturbed, context)
    for variable, move in zip(theirs.trainable_variables, moves, strict=True):
        variable.assign_sub(move)
    plain = peer_setting.deep_net(dropout=0.3)
    base.step(peer_setting.players_of(base, plain), examples, peer_setting.context_of(6))
    # Adding a move and taking it away rounds the weights, of size 1, by 2^-24 each time.
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    pairs = zip(ours.get_weights(), plain.get_weights(), strict=True)
    assert max(np.abs(a - b).max() for a, b in pairs) > 1e-4


def test_the_perturbation_raises_the_objective():
    net, examples = peer_setting.deep_net(), peer_setting.batch()
    with tf.GradientTape() as tape:
        before = tf.reduce_mean(losses.cross_entropy(net(examples.x), examples.y))
    gradients = tape.gradient(before, net.trainable_variables)
    for variable, gradient in zip(net.trainable_variables, gradients, strict=True):
        variable.assign_add(perturbation(tf.convert_to_tensor(variable), gradient, 0.01))
    assert float(tf.reduce_mean(losses.cross_entropy(net(examples.x), examples.y))) > before


def test_moving_statistics_are_updated_once():
    base, examples = games.LWA(THREAT), peer_setting.batch()
    nets = [peer_setting.deep_net(True), peer_setting.deep_net(True)]
    for game, net in zip((base, games.AWP(base, gamma=1e-6)), nets, strict=True):
        game.step(peer_setting.players_of(game, net), examples, peer_setting.context_of(6))
    ours, theirs = (net.layers[2].moving_mean.numpy() for net in nets)
    assert np.abs(ours).max() > 1e-4
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-7)


def test_games_with_a_step_of_their_own_are_refused():
    for name in ("free", "minimax_attnet"):
        with pytest.raises(ConfigError, match="defines a step of its own"):
            games.AWP(games.GAMES[name](THREAT))
    with pytest.raises(ConfigError, match="Expected a game, as"):
        games.AWP(THREAT)
    with pytest.raises(ConfigError, match="defines a step of its own"):
        games.AWP(games.AWP(games.LWA(THREAT)))


def test_what_its_game_refuses_is_refused():
    smoothed = Schedule(steps=1, label_smoothing=0.1)
    for base in (games.SABR(THREAT), games.Distillation(THREAT)):
        for game in (base, games.AWP(base)):
            with pytest.raises(ConfigError, match="minimizes a cross-entropy"):
                refuse_options(game, smoothed)
    refuse_options(games.AWP(games.AdvPGD(THREAT)), smoothed)


def test_it_declares_what_its_game_declares():
    names = ("input_gradients", "trains_classifier", "smooths_labels", "trains_networks")
    union = games.Union(THREAT, attackers="fgsm,mlp")
    for base in (games.Undefended(THREAT), games.LWA(THREAT), games.SABR(THREAT), union):
        for name in names:
            assert getattr(games.AWP(base), name) == getattr(base, name), (base, name)
    assert games.AWP(games.MinimaxGrad(THREAT, penalty_every=2)).penalty_every == 2


def test_clean_training_needs_no_gradients_of_the_images():
    """A step function: the weights behind it learn, the images have no gradient."""
    net = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            keras.layers.Lambda(lambda x: keras.ops.cast(x > 0, "float32")),
            keras.layers.Flatten(),
            keras.layers.Dense(10),
        ]
    )
    for wrap in (lambda game: game, games.AWP):
        mmtf.train(
            wrap(games.Undefended(THREAT)),
            mmtf.load_data("digits"),
            schedule=Schedule(steps=1, batch_size=8),
            model=net,
            progress=False,
        )


def test_it_has_the_rounds_and_metrics_of_its_game():
    game = games.AWP(games.Distillation(THREAT), gamma=0.02)
    assert (game.rounds, game.metrics, game.threat) == (1, ("risk",), THREAT)
    assert repr(game).startswith("AWP(game=Distillation(threat=") and "gamma=0.02" in repr(game)
