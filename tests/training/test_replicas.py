"""The same weights on two devices as on one."""

import numpy as np
import pytest
import tensorflow as tf
import tiny
import two_replicas

from mmtf.config import Schedule
from mmtf.data import Batches
from mmtf.data.extra import with_extra
from mmtf.errors import ConfigError
from mmtf.games import GAMES
from mmtf.training.loop import fit
from mmtf.training.monitor import Monitor
from mmtf.training.robustness import watched
from mmtf.training.trainer import Trainer

ATTACKER = {"net_options": {"width": 8, "depth": 1, "dropout": 0.0}}
BALLS = {"attackers": "fgsm,fgm_l2,unet", "eta_l2": 1.0, "attacker_rate": 1.0}
# (game, options, whether the data are in memory)
PLAYED = [
    ("adv_fgsm", {"rounds": 1}, True),
    ("minimax_grad", {}, False),
    ("minimax_grad", {"penalty": "fused"}, True),
    ("minimax_grad", {"penalty_every": 2}, False),
    ("minimax_attnet", ATTACKER, True),
    ("union", {"rule": "batch_max", **BALLS, "attackers": "fgsm,fgm_l2,conv"}, True),
]
UNIONS = [
    ("union", {"rule": rule, "gamma": 0.1, **BALLS}, rule != "weights")
    for rule in ("example_max", "average", "drawn", "weights")
]

# Adam divides by sqrt(v): a gradient entry near 0 whose sum is reassociated (2^-24 relative) moves
# a weight by its share of the rate, 1e-2; 12 steps at most.
APART = 1e-5


@pytest.fixture(scope="module")
def two():
    return two_replicas.strategy_of(2)


def weights(strategy, game, in_memory, **options):
    with strategy.scope():
        net = tiny.tiny_net()
        batches = Batches(tiny.tiny_data(), batch_size=8, seed=3, in_memory=in_memory)
    trainer = Trainer(
        GAMES[game](tiny.THREAT, **options),
        net,
        batches,
        schedule=Schedule(steps=6, learning_rate=1e-2),
        strategy=strategy,
        precision="float32",
        seed=3,
    )
    step = 0
    for number in range(len(trainer.round_lengths)):
        trainer.enter_round(number, begin=True)
        trainer.run(step, 6)
        step += 6
    assert trainer.traces == 1
    return [v.numpy() for v in net.trainable_variables]


def assert_alike(ours, theirs):
    assert max(np.abs(a - b).max() for a, b in zip(ours, theirs, strict=True)) < APART


def assert_two_are_as_one(two, game, options, in_memory):
    one = tf.distribute.get_strategy()
    ours, theirs = weights(two, game, in_memory, **options), weights(one, game, True, **options)
    assert_alike(ours, theirs)


@pytest.mark.parametrize("game, options, in_memory", PLAYED)
def test_two_replicas_give_the_weights_of_one(two, game, options, in_memory):
    assert_two_are_as_one(two, game, options, in_memory)


@pytest.mark.slow
def test_the_adversary_may_lead_on_two_replicas(two):
    """The rule alone differs from minimax_attnet's: it is tested in tests/solvers/test_replicas."""
    assert_two_are_as_one(two, "maximin_attnet", ATTACKER, True)


@pytest.mark.slow
@pytest.mark.parametrize("game, options, in_memory", UNIONS)
def test_every_rule_of_the_union_game_is_exact_on_two_replicas(two, game, options, in_memory):
    """Risks are summed over the replicas before one is chosen, and the same attacker is drawn."""
    assert_two_are_as_one(two, game, options, in_memory)


def with_options(strategy):
    """The weights, their averages and the curve of a training with every option."""
    with strategy.scope():
        net = tiny.tiny_net()
        data = with_extra(tiny.tiny_data(), tiny.tiny_data())
        batches = Batches(data, batch_size=8, seed=3, extra=24)
    schedule = Schedule(
        steps=6,
        learning_rate=1e-2,
        ema=0.8,
        label_smoothing=0.1,
        augment=("crop", "flip"),
        holdout=6,
        check_every=2,
    )
    trainer = Trainer(
        GAMES["adv_pgd"](tiny.THREAT),
        net,
        batches,
        schedule=schedule,
        strategy=strategy,
        precision="float32",
        seed=3,
    )
    trainer.play(GAMES["lwa"](tiny.THREAT))  # random starts differ between replicas
    monitor = Monitor(trainer, watched(tiny.tiny_data()), schedule=schedule, every=2, seed=0)
    fit(trainer, monitor=monitor)
    averages = [v.numpy() for v in trainer.averages.values]
    weights = [v.numpy() for v in net.trainable_variables]
    assert monitor.deploy().startswith("the weights of the moving average at step")
    return weights, averages, monitor.watch.to_list()


def test_the_options_of_training_on_two_replicas(two):
    ours, means, points = with_options(two)
    theirs, others, same = with_options(tf.distribute.get_strategy())
    assert points == same and len(points) == 3
    assert_alike([*ours, *means], [*theirs, *others])


def test_moving_statistics_of_each_replica_are_refused(two):
    with two.scope():
        net = tiny.tiny_net(normalize=True)
        batches = Batches(tiny.tiny_data(), batch_size=8, seed=3)
    with pytest.raises(ConfigError, match="synchronized=True"):
        Trainer(
            GAMES["lwa"](tiny.THREAT),
            net,
            batches,
            schedule=Schedule(steps=6),
            strategy=two,
            precision="float32",
            seed=3,
        )
