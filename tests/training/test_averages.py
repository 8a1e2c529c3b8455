"""The moving average of the weights: its closed form, and where it is used."""

import numpy as np
import pytest
import tensorflow as tf
import tiny

import mmtf
import mmtf.training.callbacks
from mmtf.config import Schedule
from mmtf.data import Batches
from mmtf.games import GAMES
from mmtf.training.trainer import Trainer

DECAY = 0.9


def make_trainer(game="lwa", net=None, ema=DECAY, **options):
    return Trainer(
        GAMES[game](tiny.THREAT, **options),
        net or tiny.tiny_net(),
        Batches(tiny.tiny_data(), batch_size=8, seed=0),
        schedule=Schedule(steps=4, learning_rate=1e-2, ema=ema),
        strategy=tf.distribute.get_strategy(),
        precision="float32",
        seed=0,
    )


@pytest.mark.parametrize("game, options", [("lwa", {}), ("adv_fgsm", {"rounds": 1})])
def test_it_is_the_weighted_sum_of_the_weights_of_the_round(game, options):
    trainer = make_trainer(game, **options)
    variables = trainer.players.classifier.trainable_variables
    for number, length in enumerate(trainer.round_lengths):
        trainer.enter_round(number, begin=True)
        seen = []
        for step in range(4 * number, 4 * number + length):
            trainer.run(step, 1)
            seen.append([np.float64(one.numpy()) for one in variables])
        # The first weights, then each with 1 - d, all discounted by d a step.
        shares = [DECAY ** (length - 1)]
        shares += [(1 - DECAY) * DECAY ** (length - 1 - k) for k in range(1, length)]
        assert sum(shares) == pytest.approx(1)
        for place, value in enumerate(trainer.averages.values):
            expected = sum(share * one[place] for share, one in zip(shares, seen, strict=True))
            # A rounding of 2^-24 in each of 3 operations of 4 steps, of weights below 1.5.
            np.testing.assert_allclose(value, expected, rtol=0, atol=12 * 1.5 * 2**-24)


def test_training_itself_is_not_changed():
    plain, averaged = make_trainer(ema=0.0), make_trainer()
    tiny.assert_same(tiny.weights_after(plain, [4]), tiny.weights_after(averaged, [1, 3]))
    assert plain.averages is None


def test_moving_statistics_are_not_averaged():
    """As in Keras: only trained weights are; the statistics are the training's last ones."""
    net = tiny.tiny_net(normalize=True)
    trainer = make_trainer(net=net)
    trainer.run(0, 4)
    statistics = [one.numpy() for one in net.non_trainable_weights]
    weights = [one.numpy() for one in net.trainable_weights]
    with trainer.averaged():
        tiny.assert_same([one.numpy() for one in net.non_trainable_weights], statistics)
        tiny.assert_same([one.numpy() for one in net.trainable_weights], trainer.averages.values)
        assert not np.array_equal(weights[0], net.trainable_weights[0].numpy())
    tiny.assert_same([one.numpy() for one in net.trainable_weights], weights)


def test_the_average_is_what_is_measured_during_training_and_returned():
    seen = []

    def events(trainer):
        def on_evaluation(step):
            seen.append([one.copy() for one in trainer.players.classifier.model.get_weights()])

        return mmtf.training.callbacks.Callbacks(on_evaluation=on_evaluation, evaluate_every=6)

    trained = mmtf.train(
        GAMES["lwa"](tiny.THREAT),
        tiny.tiny_data(),
        schedule=Schedule(steps=6, batch_size=8, learning_rate=1e-2, ema=DECAY),
        model=tiny.tiny_net,
        events=events,
        precision="float32",
        progress=False,
    )
    averages = trained.trainer.averages.values
    tiny.assert_same(trained.model.get_weights(), averages)
    tiny.assert_same(seen[-1], averages)
    assert trained.weights == "the moving average of the weights"
