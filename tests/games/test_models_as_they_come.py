"""Keras models as users have them, on pixels in [0, 1], play the games and are evaluated."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import mmtf
from mmtf.classifiers.classifier import Classifier
from mmtf.errors import ConfigError
from mmtf.games.frozen import FrozenClassifier

THREAT = mmtf.ThreatModel(eta=0.3)
GAMES = {
    "adv_fgsm": {"rounds": 1},
    "minimax_grad": {},
    "adv_pgd": {"max_steps": 2},
}


class Scale(keras.layers.Layer):
    """An own layer without **kwargs and get_config: keras.models.clone_model fails with it."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def call(self, x):
        return self.factor * x


class Wrapper(keras.Model):
    """A subclassed model around another one, with a scale of its own."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def call(self, x, training=False):
        return 2.0 * self.inner(x, training=training)


def sequential(*first):
    dense = keras.layers.Dense(10, kernel_initializer=keras.initializers.GlorotUniform(1))
    layers = [keras.layers.AveragePooling2D(4), keras.layers.Flatten(), dense]
    return keras.Sequential([keras.Input((28, 28, 1)), *first, *layers])


def normalized():
    layer = keras.layers.Normalization()
    layer.adapt(pixels(mmtf.load_data("digits"))[0])
    return sequential(layer)


def wrapped():
    model = Wrapper(sequential())
    model(np.zeros([1, 28, 28, 1], np.float32))
    return model


MODELS = {
    "adapted Normalization": normalized,
    "subclassed wrapper": wrapped,
    "own layer": lambda: sequential(Scale(3.0)),
    "Lambda": lambda: sequential(keras.layers.Lambda(lambda x: x**2)),
    "moving statistics": lambda: sequential(keras.layers.BatchNormalization()),
}


def pixels(data):
    """Training images as these models take them, in [0, 1], and their labels."""
    x, y = data.train(200)
    return np.asarray(x) / 2 + 0.5, y


def play(game, model, **options):
    return mmtf.train(
        mmtf.games.GAMES[game](THREAT, **GAMES[game]),
        mmtf.load_data("digits"),
        schedule=mmtf.Schedule(steps=4, batch_size=32, learning_rate=1e-2),
        model=Classifier(model, bounds=(0, 1)),
        precision="float32",
        progress=False,
        **options,
    )


@pytest.mark.parametrize("kind", MODELS)
def test_it_is_trained_and_evaluated(kind):
    """By one game after the other; then measured once, for what it is is the same to each."""
    model, data = MODELS[kind](), mmtf.load_data("digits")
    x, y = data.test(100)
    for game in GAMES:
        before = [variable.numpy() for variable in model.trainable_variables]
        trained = play(game, model)
        assert trained.model is model and trained.classifier.model is model
        after = [variable.numpy() for variable in model.trainable_variables]
        assert all((a != b).any() for a, b in zip(before, after, strict=True))
        if game == "adv_fgsm":
            same_where_weights_are(trained, x)
    found = mmtf.evaluate(
        trained.classifier,
        ["none", "fgsm"],
        data,
        threat=THREAT,
        max_examples=100,
        checks=False,
    ).set_index("attack")
    clean = np.argmax(model(x / 2 + 0.5, training=False), -1) != y
    assert found.error["none"] == pytest.approx(clean.mean())
    assert found.error["worst"] >= found.error["none"]


def same_where_weights_are(trained, x):
    """The frozen classifier is that of the round before; with today's weights, today's."""
    players = trained.trainer.players
    frozen, x = players.models["frozen"], tf.constant(x)
    assert np.abs(frozen(x) - players.classifier(x)).max() > 1e-3
    trained.trainer.game.begin_round(players, 1)
    np.testing.assert_array_equal(frozen(x), players.classifier(x))
    assert np.abs(players.classifier(x)).max() > 1e-3


@pytest.mark.parametrize("kind", MODELS)
def test_its_frozen_classifier_is_in_checkpoints(tmp_path, kind):
    first = play("adv_fgsm", MODELS[kind](), checkpoint_dir=str(tmp_path)).trainer
    second = play("adv_fgsm", MODELS[kind](), checkpoint_dir=str(tmp_path)).trainer
    ours, theirs = (one.players.models["frozen"].get_weights() for one in (first, second))
    assert len(ours) == len(first.players.models["classifier"].weights)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a, b)


def test_checkpoints_of_a_cloned_model_can_be_restored(tmp_path):
    """As they were written before: a Keras model under the name `frozen`."""
    model = MODELS["moving statistics"]()
    clone = keras.models.clone_model(model)
    clone.set_weights([weight + 1.0 for weight in model.get_weights()])
    path = tf.train.Checkpoint(model_frozen=clone).write(str(tmp_path / "ckpt"))
    frozen = FrozenClassifier(Classifier(model))
    status = tf.train.Checkpoint(model_frozen=frozen.checkpoint).read(path)
    status.assert_existing_objects_matched()
    for ours, theirs in zip(frozen.get_weights(), clone.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_frozen_weights_stay_while_moving_statistics_move(rng):
    model = MODELS["moving statistics"]()
    frozen = FrozenClassifier(Classifier(model))
    x = tf.constant(rng.uniform(-1, 1, [8, 28, 28, 1]), tf.float32)
    before = frozen(x).numpy()
    model(5.0 + x, training=True)
    assert np.abs(model(x / 2 + 0.5) - before).max() > 1e-3
    np.testing.assert_array_equal(frozen(x), before)


def test_the_box_of_a_model_is_part_of_its_run(tmp_path):
    model = sequential()
    play("adv_pgd", model, checkpoint_dir=str(tmp_path))
    with pytest.raises(ConfigError, match="pixels"):
        mmtf.train(
            mmtf.games.AdvPGD(THREAT, max_steps=2),
            mmtf.load_data("digits"),
            schedule=mmtf.Schedule(steps=4, batch_size=32, learning_rate=1e-2),
            model=model,
            precision="float32",
            progress=False,
            checkpoint_dir=str(tmp_path),
        )


def test_radii_and_penalties_are_on_the_scale_of_the_box():
    """A step of a model on [0, 1] is that of the model on [-1, 1] with the map inside."""
    adapted, inside = sequential(), sequential(keras.layers.Rescaling(0.5, offset=0.5))
    for name in GAMES:
        inside.set_weights(adapted.get_weights())
        play(name, adapted)
        mmtf.train(
            mmtf.games.GAMES[name](THREAT, **GAMES[name]),
            mmtf.load_data("digits"),
            schedule=mmtf.Schedule(steps=4, batch_size=32, learning_rate=1e-2),
            model=inside,
            precision="float32",
            progress=False,
        )
        for ours, theirs in zip(adapted.get_weights(), inside.get_weights(), strict=True):
            # (x + 1) / 2 and x / 2 + 1 / 2 round alike but for 2^-24; Adam's steps are of 1e-2, 4
            # or 8 of them, each off by the relative error of a gradient of some 1e3 products.
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=8 * 1e-2 * 1e3 * 2.0**-24)


@pytest.mark.parametrize(
    "model, message",
    [(3, "a Keras model, or a function"), (Classifier(lambda x, training: x), "to train")],
)
def test_what_cannot_be_trained_is_refused(model, message):
    with pytest.raises(ConfigError, match=message):
        mmtf.train(
            mmtf.games.LWA(THREAT),
            mmtf.load_data("digits"),
            schedule=mmtf.Schedule(steps=1),
            model=model,
            progress=False,
        )
