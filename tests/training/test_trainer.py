"""Traces, sampling, rounds, and the same weights on one device as on two (NumPy beside them)."""

import os
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmtf.config import ConfigError, Schedule
from mmtf.data import Batches, Dataset, load_digits
from mmtf.games import GAMES
from mmtf.nets import NETS
from mmtf.threat import ThreatModel
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


def tiny_net(dropout=0.0, normalise=False):
    layers = [keras.Input((4, 4, 1)), keras.layers.Flatten()]
    layers += [keras.layers.BatchNormalization()] if normalise else []
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
    data = data or tiny_data()
    batches = Batches(data, batch_size=8, seed=seed, in_memory=in_memory)
    return Trainer(
        GAMES[game](THREAT, **options),
        net or tiny_net(),
        batches,
        schedule=Schedule(steps=steps, learning_rate=1e-2),
        strategy=tf.distribute.get_strategy(),
        precision=precision,
        seed=seed,
        jit_compile=jit_compile,
        many_a_program=many_a_program,
    )


def weights_after(trainer, calls):
    step = 0
    for count in calls:
        trainer.run(step, count)
        step += count
    return trainer.players.classifier.get_weights()


def assert_same(ours, theirs):
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a, b)


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


@pytest.mark.parametrize(
    "game, options",
    [
        ("minimax_grad", {}),
        pytest.param("minimax_attnet", {"net_options": {"dropout": 0.0}}, marks=pytest.mark.slow),
    ],
)
def test_a_step_by_xla_gives_the_same_weights(game, options):
    """As far as Adam lets it: a first step is the rate times the gradient's sign.

    Where a gradient is nothing but rounding, its sign is open: such a weight may be two rates off
    after a step. No other weight is.
    """
    plain, compiled = (make_trainer(game, jit_compile=flag, **options) for flag in (False, True))
    risks = [float(one.run(0, 1)["risk"]) for one in (plain, compiled)]
    np.testing.assert_allclose(risks[1], risks[0], rtol=1e-5)
    pairs = zip(*(one.players.classifier.get_weights() for one in (plain, compiled)), strict=True)
    for ours, theirs in pairs:
        assert np.mean(np.abs(ours - theirs) > 1e-5) < 0.02
    # What is traced once serves any number of steps, dropout and streamed batches, too.
    again = make_trainer(game, tiny_net(0.5), in_memory=False, jit_compile=True, **options)
    first = weights_after(again, [3, 2])
    assert again.traces == 1
    # Many steps a program, up to the 3 of an epoch: here 1, 3 and 1.
    many, single = (
        make_trainer(game, tiny_net(0.5), jit_compile=True, many_a_program=flag, **options)
        for flag in (True, False)
    )
    assert_same(first, weights_after(many, [1, 4]))
    assert many.traces == 1
    weights_after(single, [5])
    ours, theirs = (one.run(5, 7) for one in (many, single))
    assert {name: float(ours[name]) for name in ours} == {
        name: float(theirs[name]) for name in theirs
    }


@pytest.mark.parametrize("game", ["adv_fgsm", "minimax_grad"])
def test_xla_compiles_once_whatever_the_calls(game):
    """Compilation takes most of the first call; these steps a few milliseconds."""
    trainer = make_trainer(game, steps=8, jit_compile=True, many_a_program=True)
    seconds = []
    for first, count in ((0, 1), (1, 2), (3, 5)):
        began = time.monotonic()
        float(trainer.run(first, count)["risk"])
        seconds.append(time.monotonic() - began)
    assert max(seconds[1:]) < seconds[0] / 4


def test_many_steps_a_program_in_a_later_round_and_after_a_bad_step():
    trainer = make_trainer("adv_fgsm", rounds=1, steps=8, jit_compile=True, many_a_program=True)
    plain = make_trainer("adv_fgsm", rounds=1, steps=8)
    for one in (trainer, plain):
        one.run(0, 8)
        one.enter_round(1, begin=True)
    risks = [float(one.run(8, 1)["risk"]) for one in (trainer, plain)]
    assert risks[0] == pytest.approx(risks[1], rel=1e-3)  # 8 steps of Adam apart by rounding
    bias = trainer.players.classifier.trainable_variables[-1]
    bias.assign(np.full(bias.shape, np.nan))
    assert int(trainer.run(9, 7)["first_bad_step"]) == 9


def test_many_steps_a_program_want_xla_and_batches_in_memory():
    for options in ({"jit_compile": False}, {"jit_compile": True, "in_memory": False}):
        with pytest.raises(ConfigError, match="Expected many_a_program with jit_compile"):
            make_trainer(many_a_program=True, **options)


@pytest.mark.parametrize(
    "precision, apart, penalty",
    [("float32", 0.01, "nested"), ("float32", 0.01, "fused"), ("bfloat16", 0.1, "nested")],
)
def test_a_penalised_step_of_a_net_with_pools_is_the_same_by_xla(precision, apart, penalty):
    """The penalty outweighs the risk here, so Adam's first step is its gradient's sign.

    Signs differ where a gradient is rounding alone: in bfloat16 of 8 bits at more places.
    """

    def step(**options):
        net = NETS["mnist_cnn"](image_shape=(4, 4, 1), num_classes=3, dropout=0.0, seed=1)
        before = net.get_weights()
        options = {"gamma": 1e3, "penalty": penalty} | options
        trainer = make_trainer(net=net, precision=precision, **options)
        trainer.run(0, 1)
        moved = zip(trainer.players.classifier.get_weights(), before, strict=True)
        return [np.sign(a - b) * (np.abs(a - b) > 1e-3) for a, b in moved]

    def distance(ours, theirs):
        return max(np.mean(a != b) for a, b in zip(ours[:4:2], theirs[:4:2], strict=True))

    plain, compiled = step(), step(jit_compile=True)
    assert distance(plain, compiled) < apart
    assert distance(plain, step(gamma=0.0)) > 2 * apart  # the penalty counts


def test_moving_statistics_are_kept():
    net = tiny_net(normalise=True)
    before = [w.copy() for w in net.layers[1].get_weights()]
    trainer = make_trainer(net=net)
    trainer.run(0, 3)
    moved = [(a != b).any() for a, b in zip(before, net.layers[1].get_weights(), strict=True)]
    assert moved == [True] * 4


def test_the_first_bad_step_is_reported():
    trainer = make_trainer()
    assert int(trainer.run(0, 2)["first_bad_step"]) == -1
    # From here on every logit is NaN.
    bias = trainer.players.classifier.trainable_variables[-1]
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
        NETS["mnist_cnn"](),
        Batches(data, batch_size=16, seed=0),
        schedule=Schedule(steps=60, learning_rate=1e-3),
        strategy=tf.distribute.get_strategy(),
        precision="bfloat16",
        seed=0,
    )
    first = float(trainer.run(0, 5)["risk"])
    trainer.run(5, 50)
    assert float(trainer.run(55, 5)["risk"]) < first / 2
    assert all(variable.dtype == "float32" for variable in trainer.players.classifier.weights)


TWO_REPLICAS = """
import sys
import numpy as np
import tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2)
sys.path.insert(0, sys.argv[1])
import test_trainer
from mmtf.config import ConfigError, Schedule
from mmtf.data import Batches
from mmtf.games import GAMES
from mmtf.training.trainer import Trainer

def weights(strategy, game, in_memory, **options):
    with strategy.scope():
        net = test_trainer.tiny_net()
        batches = Batches(test_trainer.tiny_data(), batch_size=8, seed=3, in_memory=in_memory)
    trainer = Trainer(GAMES[game](test_trainer.THREAT, **options), net, batches,
                      schedule=Schedule(steps=6, learning_rate=1e-2), strategy=strategy,
                      precision="float32", seed=3)
    step = 0
    for number in range(len(trainer.round_lengths)):
        trainer.enter_round(number, begin=True)
        trainer.run(step, 6)
        step += 6
    assert trainer.traces == 1, trainer.traces
    return [v.numpy() for v in net.trainable_variables]

two = tf.distribute.MirroredStrategy(
    ["CPU:0", "CPU:1"], cross_device_ops=tf.distribute.ReductionToOneDevice())
assert two.num_replicas_in_sync == 2
one = tf.distribute.get_strategy()
attacker = {"net_options": {"width": 8, "depth": 1, "dropout": 0.0}}
for game, options, in_memory in [("adv_fgsm", {"rounds": 1}, True), ("minimax_grad", {}, False),
                                 ("minimax_grad", {"penalty": "fused"}, True),
                                 ("minimax_attnet", attacker, True), ("alt_attnet", attacker, True),
                                 ("maximin_attnet", attacker, True)]:
    ours, theirs = weights(two, game, in_memory, **options), weights(one, game, True, **options)
    worst = max(np.abs(a - b).max() for a, b in zip(ours, theirs))
    # Adam divides by sqrt(v): a gradient entry near 0 whose sum is reassociated (2^-24
    # relative) moves a weight by its share of the rate, 1e-2; 12 steps at most.
    print(game, options, in_memory, worst)
    assert worst < 1e-5, (game, worst)
with two.scope():
    net = test_trainer.tiny_net(normalise=True)
    batches = Batches(test_trainer.tiny_data(), batch_size=8, seed=3)
try:
    Trainer(GAMES["lwa"](test_trainer.THREAT), net, batches, schedule=Schedule(steps=6),
            strategy=two, precision="float32", seed=3)
except ConfigError as error:
    assert "synchronized=True" in str(error)
    print("REFUSED")
"""


def test_two_replicas_give_the_weights_of_one():
    done = subprocess.run(
        [sys.executable, "-c", TWO_REPLICAS, os.path.dirname(__file__)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "REFUSED" in done.stdout


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


def test_a_batch_that_cannot_be_divided_is_refused():
    class Three:
        num_replicas_in_sync = 3

    with pytest.raises(ConfigError, match="divisible by the 3 replicas"):
        Trainer(
            GAMES["lwa"](THREAT),
            tiny_net(),
            Batches(tiny_data(), batch_size=8, seed=0),
            schedule=Schedule(steps=1),
            strategy=Three(),
            precision="float32",
            seed=0,
        )
