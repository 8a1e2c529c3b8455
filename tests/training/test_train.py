"""`mmtf.train` with a user's own Keras model."""

import keras
import numpy as np
import pytest
import tiny

import mmtf
from mmtf.config import ConfigError, Schedule
from mmtf.evaluation import measure

THREAT = mmtf.ThreatModel(eta=0.3)


class Own(keras.Model):
    """A subclassed model, as users write them."""

    def __init__(self, units=3, activation=None):
        super().__init__()
        self.flatten = keras.layers.Flatten()
        self.dense = keras.layers.Dense(units, activation=activation)

    def call(self, x, training=False):
        return self.dense(self.flatten(x))


def separable():
    """Three classes told apart by which of three pixels is lit: no attack of 0.3 can hide it."""
    labels = np.arange(60) % 3
    images = np.full([60, 4, 4, 1], -1.0, np.float32)
    images[np.arange(60), 0, labels, 0] = 1.0
    return mmtf.Dataset(
        name="separable",
        train_images=images,
        train_labels=labels,
        test_images=images,
        test_labels=labels,
        num_classes=3,
    )


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_subclassed_model_is_trained_in_place(precision):
    data, model = separable(), Own()
    model(data.train_images[:1])
    game = mmtf.games.GAMES["minimax_grad"](THREAT)
    schedule = Schedule(steps=150, batch_size=30, learning_rate=0.05)
    trained = mmtf.train(
        game, data, schedule=schedule, model=model, precision=precision, progress=False
    )
    assert trained.classifier is model and trained.steps == 150 and trained.seconds > 0
    assert model.dense.kernel.dtype == "float32" and model(data.train_images[:1]).dtype == "float32"
    x, y = data.test()
    attack = mmtf.attacks.ATTACKS["fgsm"](THREAT)
    assert measure(model, attack, x, y, name="fgsm").error == 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Own, "Expected a built model"),
        (lambda: built(Own(units=4)), "to 3 logits"),
        (lambda: built(keras.Sequential([Own(), keras.layers.Dense(3, "softmax")])), "softmax"),
    ],
)
def test_a_model_that_does_not_fit_is_refused(make, message):
    game = mmtf.games.GAMES["lwa"](THREAT)
    with pytest.raises(ConfigError, match=message):
        mmtf.train(game, tiny.tiny_data(), schedule=Schedule(steps=1), model=make, progress=False)


def built(model):
    model(np.zeros([1, 4, 4, 1], np.float32))
    return model
