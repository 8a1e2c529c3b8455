"""Nothing to train, and gradients that do not arrive, are told before the first step."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import mmtf
from mmtf.errors import ConfigError

L = keras.layers
THREAT = mmtf.ThreatModel(eta=0.3)


class NumPy(L.Layer):
    """Leaves TensorFlow."""

    def call(self, x):
        y = tf.numpy_function(lambda values: values, [x], x.dtype)
        y.set_shape(x.shape)
        return y


@tf.custom_gradient
def straight_through(x):
    return tf.round(4.0 * x) / 4.0, lambda upstream: upstream


def as_is(function):
    return L.Lambda(function, output_shape=lambda shape: shape)


def net(*first, between=(), head=None):
    head = head or L.Dense(10)
    layers = [*first, L.AveragePooling2D(4), L.Flatten(), *between, head]
    return keras.Sequential([keras.Input((28, 28, 1)), *layers])


def frozen(model, layers):
    for layer in layers(model):
        layer.trainable = False
    return model


def play(game, model):
    return mmtf.train(
        mmtf.games.GAMES[game](THREAT),
        mmtf.load_data("digits"),
        schedule=mmtf.Schedule(steps=1, batch_size=16),
        model=model,
        precision="float32",
        progress=False,
    )


LOST = {
    "numpy_function": lambda: net(NumPy()),
    "rounding": lambda: net(as_is(tf.round)),
    "signs": lambda: net(as_is(tf.sign)),
    "integers": lambda: net(as_is(lambda x: tf.cast(tf.cast(9 * x, tf.int32), tf.float32))),
    "a comparison": lambda: net(as_is(lambda x: tf.where(x > 0, 1.0, 0.0))),
}


@pytest.mark.parametrize("game", ["lwa", "minimax_grad", "minimax_attnet"])
@pytest.mark.parametrize("kind", LOST)
def test_gradients_that_do_not_reach_the_images(kind, game):
    with pytest.raises(ConfigError, match="gradients reach the images, for (LWA|Minimax)") as no:
        play(game, LOST[kind]())
    assert "\n" not in str(no.value) and "straight-through" in str(no.value)


@pytest.mark.parametrize("kind", ["numpy_function", "rounding"])
def test_the_undefended_game_needs_none(kind):
    model = LOST[kind]()
    before = model.get_weights()
    play("undefended", model)
    assert all((a != b).any() for a, b in zip(before, model.get_weights(), strict=True))


@pytest.mark.parametrize(
    "make",
    [
        lambda: net(as_is(straight_through)),
        lambda: net(head=L.Dense(10, kernel_initializer="zeros")),
    ],
)
def test_what_only_looks_like_it_is_trained(make):
    """A straight-through estimator; a head of zeros, whose gradient is zero at the start."""
    model = make()
    before = model.get_weights()[-1].copy()
    play("lwa", model)
    assert (model.get_weights()[-1] != before).any()


def test_weights_that_none_reaches_are_named(capfd):
    model = net(between=[L.Dense(5, name="early"), NumPy()])
    play("undefended", model)
    said = capfd.readouterr().err.splitlines()
    assert "no gradient reaches 2 of 4 weights" in said[0] and "early/kernel" in said[0]
    with pytest.raises(ConfigError, match="gradients reach its weights. Received: none"):
        play("undefended", net(between=[L.Dense(10), NumPy()], head=L.Flatten()))


def test_nothing_to_train():
    for model in (
        frozen(net(), lambda model: [model]),
        frozen(net(), lambda model: model.layers),
        net(head=L.Dense(10, trainable=False)),
    ):
        with pytest.raises(ConfigError, match="weights to train. Received: none of 500 is train"):
            play("lwa", model)


def test_almost_nothing_to_train_is_said(capfd):
    model = net(between=[L.Dense(500, trainable=False)])
    play("lwa", model)
    assert "Training 5,010 of 29,510 weights (17.0%)" not in capfd.readouterr().err  # not so few
    model = net(between=[L.Dense(900, trainable=False)], head=L.Dense(10, use_bias=False))
    model.layers[-1].trainable, narrow = True, keras.Sequential([model, L.Dense(10)])
    model.trainable = False
    narrow(np.zeros([1, 28, 28, 1], np.float32))
    play("lwa", narrow)
    said = capfd.readouterr().err
    assert "Training 110 of 54,110 weights (0.2%): the others have trainable=False." in said


def test_a_variable_that_keras_does_not_train_is_said(capfd):
    model = net()
    model.layers[-1].factor = tf.Variable(2.0)
    play("lwa", model)
    assert "Dense.factor is a tf.Variable, which Keras neither" in capfd.readouterr().err


def test_evaluate_says_it_as_a_sign_of_masked_gradients():
    with pytest.warns(UserWarning, match="zero_gradient"):
        frame = mmtf.evaluate(
            LOST["rounding"](), ["fgsm"], mmtf.load_data("digits"), threat=THREAT, max_examples=20
        )
    assert any("zero_gradient" in sign for sign in frame.attrs["signs"]) and frame.in_doubt.all()
