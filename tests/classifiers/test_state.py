"""State that layers keep beside their weights is right on every path that restores a model."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import mmtf
from mmtf.classifiers.classifier import Classifier
from mmtf.classifiers.state import constants_of, derive, holding, variables_of
from mmtf.errors import ConfigError
from mmtf.games.frozen import FrozenClassifier
from mmtf.training.callbacks import Callbacks

L = keras.layers
SHAPE = (28, 28, 1)
THREAT = mmtf.ThreatModel(eta=0.3)


@keras.saving.register_keras_serializable("mmtf_tests")
class Constants(L.Layer):
    """Computes with an array, a tensor and a tf.Variable, none of them a weight."""

    def __init__(self, factor=1.0, **options):
        super().__init__(**options)
        self.factor = factor
        self.array = np.full([1], factor, np.float32)
        self.tensors = {"shift": tf.constant(0.1 * factor)}
        self.scale = tf.Variable(factor, trainable=False)

    def call(self, x):
        return self.scale * (self.array * x + self.tensors["shift"])

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


@keras.saving.register_keras_serializable("mmtf_tests")
class Counts(L.Layer):
    """Counts its calls in training in a tf.Variable, and adds the count."""

    def __init__(self, **options):
        super().__init__(**options)
        self.count = tf.Variable(0.0, trainable=False)

    def call(self, x, training=False):
        if training:
            self.count.assign_add(1.0)
        return x + 0.1 * self.count


def adapted(factor=1.0):
    layer = L.Normalization()
    layer.adapt(factor * np.random.default_rng(0).uniform(0, 1, (50, *SHAPE)))
    return layer


# Kind -> a layer made of a number, so that two may differ.
LAYERS = {
    "adapted Normalization": adapted,
    "given Normalization": lambda factor=1.0: L.Normalization(
        mean=np.array([0.1 * factor]), variance=np.array([factor])
    ),
    "SpectralNormalization": lambda factor=1.0: L.SpectralNormalization(
        L.Conv2D(2, 3, padding="same", kernel_initializer=keras.initializers.HeNormal(seed=3))
    ),
    "constants": Constants,
    "tf.Variable": lambda factor=1.0: Counts(),
    "seeds": lambda factor=1.0: L.RandomTranslation(0.1, 0.1, seed=7),
    "BatchNormalization": lambda factor=1.0: L.BatchNormalization(),
}
ALSO = ("seeds", "BatchNormalization")  # kept in weights, or in nothing: on every full run
KINDS = [pytest.param(one, marks=pytest.mark.slow if one in ALSO else ()) for one in LAYERS]


def net(layer):
    dense = L.Dense(10, kernel_initializer=keras.initializers.GlorotUniform(1))
    return keras.Sequential([keras.Input(SHAPE), layer, L.AveragePooling2D(4), L.Flatten(), dense])


def play(model, folder=None, game="adv_fgsm", steps=4, **options):
    return mmtf.train(
        mmtf.games.GAMES[game](THREAT, **({"rounds": 1} if game == "adv_fgsm" else {})),
        mmtf.load_data("digits"),
        schedule=mmtf.Schedule(steps=steps, batch_size=16, learning_rate=1e-2),
        model=model,
        precision="float32",
        progress=False,
        checkpoint_dir=None if folder is None else str(folder),
        **options,
    )


class Stopped(Exception):
    """The end of a process."""


def play_until(step, model, folder):
    def stop(now):
        if now == step:
            raise Stopped

    events = Callbacks(on_evaluation=stop, evaluate_every=step)
    with pytest.raises(Stopped):
        play(model, folder, events=events, checkpoint_seconds=0.0)


@pytest.fixture(scope="module")
def images():
    return tf.constant(mmtf.load_data("digits").test(20)[0])


@pytest.fixture(scope="module", params=KINDS)
def played(request):
    """(kind, the weights before, what was trained in one go)."""
    model = net(LAYERS[request.param]())
    before = model.get_weights()
    return request.param, before, play(model)


def test_a_run_that_is_resumed_in_another_process(played, images, tmp_path):
    """A new model of the same code, not adapted, goes on as if nothing had happened: bitwise."""
    kind, before, whole = played
    first = net(LAYERS[kind]())
    first.set_weights(before)
    play_until(6, first, tmp_path)  # in round 1, of steps 4 to 7
    fresh = net(L.Normalization() if kind.startswith("adapted") else LAYERS[kind]())
    again = play(fresh, tmp_path)
    np.testing.assert_array_equal(fresh(images), whole.model(images))
    for a, b in zip(fresh.get_weights(), whole.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    ours, theirs = (one.trainer.players.models["frozen"](images) for one in (again, whole))
    np.testing.assert_array_equal(ours, theirs)


def test_files_that_are_loaded_again(played, images, tmp_path):
    """The .keras file and the SavedModel compute what the trained model does."""
    kind, _, trained = played
    expected, data = trained.model(images, training=False), mmtf.load_data("digits")
    mmtf.save_serving(trained.model, data.preprocess, SHAPE, str(tmp_path / "served"))
    served = tf.saved_model.load(str(tmp_path / "served")).signatures["logits"](images=images)
    # Two float32 evaluations of one net, in graphs of other orders of summation.
    np.testing.assert_allclose(served["logits"], expected, rtol=0, atol=1e-5)
    if kind == "tf.Variable":  # Keras does not save it, which mmtf.train says
        return
    mmtf.save_keras(trained.model, str(tmp_path / "model.keras"))
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again(images, training=False), expected, rtol=0, atol=1e-5)


def test_a_frozen_copy(played, images):
    """It computes what the classifier did when it was stored, whatever was trained since."""
    _, _, trained = played
    model, players = trained.model, trained.trainer.players
    trained.trainer.game.begin_round(players, 1)
    before, frozen = players.classifier(images).numpy(), players.models["frozen"]
    np.testing.assert_array_equal(frozen(images), before)
    np.testing.assert_array_equal(frozen.predict(images.numpy(), batch_size=20), before)
    kept = model.get_weights()
    model.set_weights([weight + 1.0 for weight in kept])
    for variable in variables_of(model).values():
        variable.assign_add(1.0)
    now = players.classifier(images).numpy()
    np.testing.assert_array_equal(frozen(images), before)
    # Another order of summation in a graph; logits of order 10.
    np.testing.assert_allclose(tf.function(frozen)(images), before, rtol=0, atol=1e-4)
    np.testing.assert_array_equal(players.classifier(images), now)
    assert np.abs(now - before).max() > 1e-3
    model.set_weights(kept)


def test_other_constants_are_another_run_and_another_classifier(tmp_path):
    for number, kind in enumerate(("constants", "given Normalization")):
        one, other = net(LAYERS[kind](1.0)), net(LAYERS[kind](2.0))
        other.set_weights(one.get_weights())
        if kind == "constants":  # so that the configs are equal, too
            one.layers[0].factor = other.layers[0].factor = 0.0
        assert constants_of(one).keys() == constants_of(other).keys() != set()
        assert Classifier(one).fingerprint != Classifier(other).fingerprint
        play(one, tmp_path / str(number), game="lwa", steps=1)
        with pytest.raises(ConfigError, match="Received those of another: constants"):
            play(other, tmp_path / str(number), game="lwa", steps=1)


def test_weights_set_by_hand_are_derived_from():
    ours, theirs = net(adapted()), net(adapted(5.0))
    ours.set_weights(theirs.get_weights())
    x = np.random.default_rng(1).uniform(0, 1, (3, *SHAPE)).astype(np.float32)
    assert np.abs(ours(x) - theirs(x)).max() > 1e-3
    derive(ours)
    np.testing.assert_array_equal(ours(x), theirs(x))


def test_a_plain_net_has_none():
    model = mmtf.nets.NETS["mnist_cnn"]()
    assert constants_of(model) == variables_of(model) == {} == constants_of(lambda x: x)


def test_the_copy_of_one_logit_and_of_a_softmax(images):
    for last in (L.Dense(1, "sigmoid"), L.Dense(4, "softmax")):
        model = keras.Sequential([keras.Input(SHAPE), L.Flatten(), last])
        frozen = FrozenClassifier(Classifier(model))
        np.testing.assert_array_equal(frozen(images), Classifier(model)(images))


def test_variables_are_set_back_after_an_error():
    one = tf.Variable(1.0)
    with pytest.raises(KeyboardInterrupt), holding([one], [2.0]):
        assert float(one) == 2.0
        raise KeyboardInterrupt
    assert float(one) == 1.0
