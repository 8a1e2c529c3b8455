"""The same weights on two devices as on one."""

import numpy as np
import peer_setting
import pytest
import tensorflow as tf
import two_replicas

from mmtf import games
from mmtf.config import Schedule
from mmtf.data import Batches
from mmtf.defenses.ascent import NearbyAscent
from mmtf.training.trainer import Trainer

PLAYED = [
    ("free", {"replays": 2, "batch_size": 8}),
    ("trades", {"max_steps": 1, "wrapped": 0.3}),
]
OTHERS = [
    ("trades", {"max_steps": 2}),
    ("mart", {"max_steps": 2}),
    ("fgsm_rs", {}),
    ("n_fgsm", {}),
    ("grad_align", {"gamma": 2.0}),
    ("cure", {"gamma": 1.0}),
    ("llr", {"max_steps": 2}),
    ("input_gradient", {}),
    ("distillation", {}),
    ("ensemble_adv", {}),
]


@pytest.fixture(autouse=True)
def same_random_numbers(monkeypatch):
    """Starts that depend on the image alone; the source of ensemble_adv is the static net."""
    uniform = tf.random.stateless_uniform

    def first_net(shape, *args, **kwargs):
        scalar = isinstance(shape, list) and not shape
        return tf.constant(1) if scalar else uniform(shape, *args, **kwargs)

    monkeypatch.setattr(tf.random, "stateless_uniform", first_net)
    monkeypatch.setattr(NearbyAscent, "start", lambda self, x, seed: x + 0.05 * tf.sin(40.0 * x))


def weights(strategy, game, wrapped=None, **options):
    with strategy.scope():
        net = peer_setting.deep_net()
        batches = Batches(peer_setting.dataset(), batch_size=8, seed=3)
    game = games.GAMES[game](peer_setting.REPEATABLE, **options)
    game = game if wrapped is None else games.AWP(game, gamma=wrapped)
    trainer = Trainer(
        game,
        net,
        batches,
        schedule=Schedule(steps=4, learning_rate=1e-2),
        strategy=strategy,
        precision="float32",
        seed=3,
    )
    step = 0
    for number in range(len(trainer.round_lengths)):
        trainer.enter_round(number, begin=True)
        trainer.run(step, 4)
        step += 4
    kept = trainer.players.updaters.get("perturbation")
    kept = [] if kept is None else [kept.delta.numpy()]
    return [v.numpy() for v in net.trainable_variables] + kept


def compare(game, options):
    ours = weights(two_replicas.strategy_of(2), game, **options)
    theirs = weights(tf.distribute.get_strategy(), game, **options)
    # As in tests/training/test_replicas.py: Adam magnifies the rounding of reassociated sums.
    assert max(np.abs(a - b).max() for a, b in zip(ours, theirs, strict=True)) < 1e-5


@pytest.mark.parametrize("game, options", PLAYED)
def test_two_replicas_give_the_weights_of_one(game, options):
    compare(game, options)


@pytest.mark.slow
@pytest.mark.parametrize("game, options", OTHERS)
def test_two_replicas_give_the_weights_of_one_in_all(game, options):
    compare(game, options)
