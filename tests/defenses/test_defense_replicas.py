"""The same weights on two devices as on one."""

import os
import subprocess
import sys

import peer_setting
import pytest

QUICK = [
    ("free", {"replays": 2, "batch_size": 8}),
    ("trades", {"max_steps": 1, "wrapped": 0.3}),
]
SLOW = [
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
TWO_REPLICAS = """
import sys
import numpy as np
import tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2)
sys.path.insert(0, sys.argv[1])
import peer_setting
from mmtf import games
from mmtf.config import Schedule
from mmtf.data import Batches
from mmtf.defenses.ascent import NearbyAscent
from mmtf.training.trainer import Trainer

# Starts that depend on the image alone; the source of ensemble_adv is the static net.
NearbyAscent.start = lambda self, x, seed: x + 0.05 * tf.sin(40.0 * x)
uniform = tf.random.stateless_uniform
def first_net(shape, *args, **kwargs):
    scalar = isinstance(shape, list) and not shape
    return tf.constant(1) if scalar else uniform(shape, *args, **kwargs)
tf.random.stateless_uniform = first_net

def weights(strategy, game, wrapped=None, **options):
    with strategy.scope():
        net = peer_setting.deep_net()
        batches = Batches(peer_setting.dataset(), batch_size=8, seed=3)
    game = games.GAMES[game](peer_setting.REPEATABLE, **options)
    game = game if wrapped is None else games.AWP(game, gamma=wrapped)
    trainer = Trainer(game, net, batches, schedule=Schedule(steps=4, learning_rate=1e-2),
                      strategy=strategy, precision="float32", seed=3)
    step = 0
    for number in range(len(trainer.round_lengths)):
        trainer.enter_round(number, begin=True)
        trainer.run(step, 4)
        step += 4
    kept = trainer.players.updaters.get("perturbation")
    kept = [] if kept is None else [kept.delta.numpy()]
    return [v.numpy() for v in net.trainable_variables] + kept

two = tf.distribute.MirroredStrategy(
    ["CPU:0", "CPU:1"], cross_device_ops=tf.distribute.ReductionToOneDevice())
assert two.num_replicas_in_sync == 2
one = tf.distribute.get_strategy()
for game, options in GAMES:
    ours, theirs = weights(two, game, **options), weights(one, game, **options)
    worst = max(np.abs(a - b).max() for a, b in zip(ours, theirs))
    print(game, worst)
    # As in tests/training/test_replicas.py: Adam magnifies the rounding of reassociated sums.
    assert worst < 1e-5, (game, worst)
print("SAME")
"""


def compare(chosen):
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"GAMES = {chosen!r}\n{TWO_REPLICAS}",
            os.path.dirname(peer_setting.__file__),
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SAME" in done.stdout


def test_two_replicas_give_the_weights_of_one():
    compare(QUICK)


@pytest.mark.slow
def test_two_replicas_give_the_weights_of_one_in_all():
    compare(SLOW)
