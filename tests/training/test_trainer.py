"""Traces, sampling, rounds, and the steps of a NumPy reference."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny import THREAT, assert_same, make_trainer, tiny_data, tiny_net, weights_after

from mmtf.config import Schedule
from mmtf.data import Batches, load_digits
from mmtf.errors import ConfigError
from mmtf.games import GAMES
from mmtf.nets import NETS
from mmtf.training.trainer import Trainer


def test_one_trace_whatever_the_calls():
    trainer = make_trainer("adv_fgsm", rounds=2)
    weights_after(trainer, [1, 5, 24])
    trainer.enter_round(1, begin=True)
    trainer.run(30, 7)
    assert trainer.traces == 1


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_weights_do_not_depend_on_how_steps_are_grouped(dropout):
    one = weights_after(make_trainer(net=tiny_net(dropout)), [12])
    many = weights_after(make_trainer(net=tiny_net(dropout)), [1, 4, 2, 5])
    assert_same(one, many)


def test_dropout_masks_change_from_step_to_step_and_seed_to_seed():
    assert (
        weights_after(make_trainer(net=tiny_net(0.5)), [3])[0]
        != weights_after(make_trainer(net=tiny_net(0.5), seed=1), [3])[0]
    ).any()
    net = tiny_net(0.5)
    before = [v.numpy().copy() for v in net.variables if "seed" in v.path]
    weights_after(make_trainer(net=net), [3])
    after = [v.numpy() for v in net.variables if "seed" in v.path]
    assert before and all((a == b).all() for a, b in zip(before, after, strict=True))


def test_streamed_batches_give_the_same_weights_as_those_in_memory():
    assert_same(
        weights_after(make_trainer(in_memory=True), [10]),
        weights_after(make_trainer(in_memory=False), [4, 6]),
    )


def test_moving_statistics_are_kept():
    net = tiny_net(normalize=True)
    before = [w.copy() for w in net.layers[1].get_weights()]
    trainer = make_trainer(net=net)
    trainer.run(0, 3)
    moved = [(a != b).any() for a, b in zip(before, net.layers[1].get_weights(), strict=True)]
    assert moved == [True] * 4


def test_the_first_bad_step_is_reported():
    trainer = make_trainer()
    assert int(trainer.run(0, 2)["first_bad_step"]) == -1
    # From here on every logit is NaN.
    bias = trainer.players.models["classifier"].trainable_variables[-1]
    bias.assign(np.full(bias.shape, np.nan))
    assert int(trainer.run(2, 5)["first_bad_step"]) == 2


def test_rounds_of_steps():
    data = tiny_data()
    trainer = Trainer(
        GAMES["adv_fgsm"](THREAT, rounds=2),
        tiny_net(),
        Batches(data, batch_size=8, seed=0),
        schedule=Schedule(steps=10, first_steps=20),
        strategy=tf.distribute.get_strategy(),
        precision="float32",
        seed=0,
    )
    assert trainer.total_steps == 40
    assert [trainer.round_of(step) for step in (0, 19, 20, 30, 39)] == [
        (0, 0),
        (0, 0),
        (1, 20),
        (2, 30),
        (2, 30),
    ]


def test_bfloat16_learns_the_digits():
    data = load_digits()
    trainer = Trainer(
        GAMES["undefended"](THREAT),
        NETS["strided_cnn"](),
        Batches(data, batch_size=16, seed=0),
        schedule=Schedule(steps=60, learning_rate=3e-3),
        strategy=tf.distribute.get_strategy(),
        precision="bfloat16",
        seed=0,
    )
    first = float(trainer.run(0, 5)["risk"])
    trainer.run(5, 50)
    assert float(trainer.run(55, 5)["risk"]) < first / 2
    assert all(
        variable.dtype == "float32" for variable in trainer.players.models["classifier"].weights
    )


def numpy_minimax_grad(x, y, weights, bias, steps, rate):
    """Adam on Eq. 8 for a linear softmax classifier, written out; float64."""
    moments = [[np.zeros_like(p), np.zeros_like(p)] for p in (weights, bias)]
    parameters = [weights, bias]
    for step, (images, labels) in enumerate(zip(x, y, strict=True), 1):
        weights, bias = parameters
        flat = images.reshape(len(images), -1).astype(np.float64)

        def residual(points, weights=weights, bias=bias, labels=labels):
            logits = points @ weights + bias
            p = np.exp(logits - logits.max(1, keepdims=True))
            p /= p.sum(1, keepdims=True)
            return p, p - np.eye(len(bias))[labels]

        z = np.clip(flat + 0.3 * np.sign(residual(flat)[1] @ weights.T), -1, 1)
        p, r = residual(z)
        g = r @ weights.T
        wg = g @ weights
        through = p * wg - p * (p * wg).sum(1, keepdims=True)
        n = len(z)
        d_weights = (z.T @ r + 0.3 * (g.T @ r + z.T @ through)) / n
        d_bias = (r + 0.3 * through).sum(0) / n
        for i, gradient in enumerate((d_weights, d_bias)):
            m, v = moments[i]
            m[...] = 0.9 * m + 0.1 * gradient
            v[...] = 0.999 * v + 0.001 * gradient**2
            scale = rate * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
            parameters[i] = parameters[i] - scale * m / (np.sqrt(v) + 1e-7)
    return parameters


def test_the_loop_plays_the_game_of_the_numpy_reference():
    net = keras.Sequential(
        [
            keras.Input((4, 4, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(3, kernel_initializer=keras.initializers.HeNormal(5)),
        ]
    )
    start = [weight.astype(np.float64) for weight in net.get_weights()]
    trainer = make_trainer(net=net)
    batches = [trainer.batches.take(trainer.batches.indices(step)) for step in range(10)]
    x, y = [b[0].numpy() for b in batches], [b[1].numpy() for b in batches]
    expected = numpy_minimax_grad(x, y, *start, steps=10, rate=1e-2)
    trainer.run(0, 10)
    for ours, theirs in zip(net.get_weights(), expected, strict=True):
        # float32 against float64 through ten Adam steps of 1e-2: 1e-7 relative each.
        np.testing.assert_allclose(ours, theirs, atol=2e-5)


@pytest.mark.parametrize(
    "game, options, size, message",
    [
        ("lwa", {}, 8, "divisible by the 3 replicas"),
        ("adv_fgsm", {}, 9, "divisible by 2 times the 3 replicas"),
        ("minimax_grad", {"penalty_every": 4}, 18, "divisible by 4 times the 3 replicas"),
    ],
)
def test_a_batch_that_cannot_be_divided_is_refused(game, options, size, message):
    class Three:
        num_replicas_in_sync = 3

    with pytest.raises(ConfigError, match=message):
        Trainer(
            GAMES[game](THREAT, **options),
            tiny_net(),
            Batches(tiny_data(), batch_size=size, seed=0),
            schedule=Schedule(steps=1),
            strategy=Three(),
            precision="float32",
            seed=0,
        )
