"""What a game of one's own is: few methods, which see all players."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

import mmtf
from mmtf.errors import ConfigError
from mmtf.games import Batch, Game
from mmtf.losses import cross_entropy
from mmtf.training.callbacks import Callbacks
from mmtf.training.options import TrainOptions

THREAT = mmtf.ThreatModel(eta=0.3)


def net():
    dense = keras.layers.Dense(10, kernel_initializer=keras.initializers.GlorotUniform(1))
    pool = keras.layers.AveragePooling2D(4)
    return keras.Sequential([keras.Input((28, 28, 1)), pool, keras.layers.Flatten(), dense])


def play(game, **options):
    return mmtf.train(
        game,
        mmtf.load_data("digits"),
        schedule=mmtf.Schedule(steps=3, batch_size=16, learning_rate=1e-2),
        model=net(),
        precision="float32",
        progress=False,
        **options,
    )


def test_classes_are_attributes_of_the_room():
    names = dir(mmtf.games)
    for name in mmtf.games.__all__:
        assert name in names and getattr(mmtf.games, name) is not None
    classes = {type(game).__name__ for game in (kind(THREAT) for kind in mmtf.games.GAMES.values())}
    assert classes <= set(names) and {"BestResponse", "BestDefense", "Game"} <= set(names)
    assert mmtf.games.GAMES["minimax_grad"] is mmtf.games.MinimaxGrad
    with pytest.raises(AttributeError, match="no attribute 'Minimax'"):
        mmtf.games.Minimax  # noqa: B018


class Both(Game):
    """Half the risk of the clean images, half that of noisy ones."""

    def perturb(self, players, batch, context):
        noise = tf.random.stateless_uniform(tf.shape(batch.x), context.seed, -1.0, 1.0)
        return Batch(self.threat.project(batch.x + noise, batch.x), batch.y)

    def objective(self, players, clean, perturbed, context):
        parts = [
            context.mean(cross_entropy(players.classifier(one.x, training=True), one.y))
            for one in (clean, perturbed)
        ]
        return sum(parts) / 2.0, {"risk": parts[0], "noisy": parts[1]}

    metrics = ("risk", "noisy")


def test_an_objective_sees_clean_and_perturbed_images():
    seen = {}
    play(Both(THREAT), events=Callbacks(on_metrics=lambda step, found: seen.update(found)))
    assert set(seen) == {"risk", "noisy"} and seen["risk"] != seen["noisy"]


class LastLayer(mmtf.games.LWA):
    """Trains the bias alone, and deploys the classifier with logits that are twice as large."""

    def trainable(self, players):
        return players.models["classifier"].trainable_variables[-1:]

    def deployed(self, players):
        model = players.models["classifier"]
        return mmtf.classifiers.classifier.Classifier(lambda x, training: 2.0 * model(x))


def test_a_game_says_what_is_trained_and_what_is_deployed():
    trained, (kernel, bias) = play(LastLayer(THREAT)), net().get_weights()
    after = trained.model.get_weights()
    np.testing.assert_array_equal(after[0], kernel)
    assert (after[1] != bias).all()
    x, _ = mmtf.load_data("digits").test(4)
    np.testing.assert_array_equal(trained.classifier(x), 2.0 * trained.model(x))


class Two(mmtf.games.LWA):
    """A second network with dropout, trained along with the classifier."""

    def make_players(self, classifier, make_optimizer, image_shape, num_classes, seed=0):
        layers = [keras.Input(image_shape), keras.layers.Flatten(), keras.layers.Dropout(0.5)]
        ones = keras.initializers.Constant(0.01)
        layers.append(keras.layers.Dense(num_classes, kernel_initializer=ones))
        classifier = mmtf.classifiers.classifier.as_classifier(classifier)
        models = {"classifier": classifier.model, "second": keras.Sequential(layers)}
        players = mmtf.games.Players(models, {}, classifier)
        players.updaters["classifier"] = make_optimizer(self.trainable(players))
        return players

    def trainable(self, players):
        return [one for model in players.networks for one in model.trainable_variables]

    def objective(self, players, clean, perturbed, context):
        logits = players.classifier(perturbed.x, training=True)
        logits += players.models["second"](clean.x, training=True)
        risk = context.mean(cross_entropy(logits, clean.y))
        return risk, {"risk": risk}


def test_another_network_is_trained_and_its_dropout_follows_the_seed():
    found = [play(Two(THREAT), seed=seed).trainer.players for seed in (1, 1, 2)]
    ours, same, other = (one.models["second"].get_weights() for one in found)
    assert (ours[0] != 0.01).any()
    np.testing.assert_array_equal(ours[0], same[0])
    assert (ours[0] != other[0]).any()


class Forgetful(mmtf.games.LWA):
    metrics = ("risk", "noise")


def test_metrics_that_are_not_returned_are_named():
    with pytest.raises(ConfigError, match="Expected the metrics risk, noise from a step of Forg"):
        play(Forgetful(THREAT))


def test_a_game_without_a_max_step_says_so():
    with pytest.raises(NotImplementedError, match="Game must define perturb or step"):
        play(Game(THREAT))


def test_fused_is_deprecated():
    with pytest.warns(DeprecationWarning, match="penalty_every"):
        mmtf.games.MinimaxGrad(THREAT, penalty="fused")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mmtf.games.MinimaxGrad(THREAT, penalty_every=2)


def test_options_are_one_value():
    options = TrainOptions(seed=3, precision="float32", progress=False)
    data, schedule = mmtf.load_data("digits"), mmtf.Schedule(steps=2, batch_size=16)
    game = mmtf.games.LWA(THREAT)
    by_value = mmtf.train(game, data, schedule=schedule, model=net(), options=options)
    by_name = mmtf.train(
        game, data, schedule=schedule, model=net(), seed=3, precision="float32", progress=False
    )
    for ours, theirs in zip(by_value.model.get_weights(), by_name.model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    with pytest.raises(TypeError, match="sed"):
        mmtf.train(game, data, schedule=schedule, model=net(), sed=3)
