"""The trainings that are stopped by make_data.py and gone on with by test_resume.py."""

import pathlib

import keras
import numpy as np
import tensorflow as tf
from readings import TRAINED

import mmtf
from mmtf.games import GAMES


def own_model() -> keras.Model:
    """A user's own net of 490 weights; tanh, for nothing in it has a kink."""
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            keras.layers.AveragePooling2D(4),
            keras.layers.Flatten(),
            keras.layers.Dense(8, "tanh", kernel_initializer=keras.initializers.GlorotUniform(1)),
            keras.layers.Dense(10, kernel_initializer=keras.initializers.GlorotUniform(2)),
        ]
    )


def train(game: str, folder: pathlib.Path, events=None):
    """What `mmtf.train` returns for one of readings.TRAINED, with its checkpoints in `folder`."""
    options, lengths = TRAINED[game]
    return mmtf.train(
        GAMES[game](mmtf.ThreatModel(eta=0.3), **options),
        mmtf.load_data("digits"),
        schedule=mmtf.Schedule(batch_size=32, learning_rate=1e-4, **lengths),
        model=own_model(),
        seed=5,
        precision="float32",
        jit_compile=False,
        checkpoint_dir=str(folder),
        checkpoint_seconds=1000,
        events=events,
    )


def weights_of(trained) -> dict[str, np.ndarray]:
    """The weights of all players, by the player's key and the weight's number."""
    return {
        f"{key}_{number}": value
        for key, model in trained.trainer.players.models.items()
        for number, value in enumerate(model.get_weights())
    }


def variables_of(game: str, folder: pathlib.Path) -> dict[str, list[int]]:
    """Name -> shape of all that is in a checkpoint of `game` with the nets of mmtf.run."""
    config = mmtf.run_config(game=game, dataset="digits")
    mmtf.train(
        GAMES[game](mmtf.ThreatModel(eta=0.3), **config.game_options),
        mmtf.load_data("digits"),
        schedule=mmtf.Schedule(steps=1, batch_size=2),
        precision="float32",
        checkpoint_dir=str(folder),
        progress=False,
    )
    return dict(tf.train.list_variables(tf.train.latest_checkpoint(str(folder))))


def train_in_bfloat16() -> keras.Model:
    """A small convolutional net after a step in bfloat16, which leaves its layers as they were."""
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            keras.layers.Conv2D(4, 5, padding="same"),
            keras.layers.MaxPooling2D(4, padding="same"),
            keras.layers.ReLU(),
            keras.layers.Flatten(),
            keras.layers.Dense(10),
        ]
    )
    mmtf.train(
        GAMES["minimax_grad"](mmtf.ThreatModel(eta=0.3)),
        mmtf.load_data("digits"),
        schedule=mmtf.Schedule(steps=2, batch_size=8),
        model=model,
        precision="bfloat16",
        progress=False,
    )
    return model
