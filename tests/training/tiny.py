"""A trainer of a tiny net on a few random images, which a test can afford."""

from unittest import mock

import keras
import numpy as np
import tensorflow as tf

from mmtf.config import Schedule
from mmtf.data import Batches, Dataset
from mmtf.games import GAMES
from mmtf.threat import ThreatModel
from mmtf.training import trainer as trainer_room
from mmtf.training.trainer import Trainer

THREAT = ThreatModel(eta=0.3)


def tiny_data(count=24):
    random = np.random.default_rng(0)
    x = random.uniform(-1, 1, [count, 4, 4, 1]).astype(np.float32)
    y = random.integers(0, 3, count)
    return Dataset(
        name="tiny",
        train_images=x,
        train_labels=y,
        test_images=x[:6],
        test_labels=y[:6],
        num_classes=3,
    )


def tiny_net(dropout=0.0, normalize=False):
    layers = [keras.Input((4, 4, 1)), keras.layers.Flatten()]
    layers += [keras.layers.BatchNormalization()] if normalize else []
    layers += [keras.layers.Dense(16, "relu", kernel_initializer=keras.initializers.HeNormal(1))]
    layers += [keras.layers.Dropout(dropout)] if dropout else []
    layers += [keras.layers.Dense(3, kernel_initializer=keras.initializers.HeNormal(2))]
    return keras.Sequential(layers)


def make_trainer(
    game="minimax_grad",
    net=None,
    steps=30,
    seed=0,
    in_memory=True,
    data=None,
    jit_compile=False,
    many_a_program=None,
    precision="float32",
    **options,
):
    """many_a_program: whether XLA's programs take many steps; None: as on this machine."""
    data = data or tiny_data()
    batches = Batches(data, batch_size=8, seed=seed, in_memory=in_memory)
    here = trainer_room.takes_programs
    many = here if many_a_program is None else lambda *_: many_a_program
    with mock.patch.object(trainer_room, "takes_programs", many):
        return Trainer(
            GAMES[game](THREAT, **options),
            net or tiny_net(),
            batches,
            schedule=Schedule(steps=steps, learning_rate=1e-2),
            strategy=tf.distribute.get_strategy(),
            precision=precision,
            seed=seed,
            jit_compile=jit_compile,
        )


def weights_after(trainer, calls):
    step = 0
    for count in calls:
        trainer.run(step, count)
        step += count
    return trainer.players.models["classifier"].get_weights()


def assert_same(ours, theirs):
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a, b)
