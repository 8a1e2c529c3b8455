"""Steps by XLA: the same weights, compiled once, one or many a program."""

import time

import numpy as np
import pytest
from tiny import assert_same, make_trainer, tiny_net, weights_after

from mmtf.nets import NETS
from mmtf.training import steps


def assert_alike(ours, theirs):
    """But for a weight in fifty whose gradient is nothing but rounding."""
    for a, b in zip(ours, theirs, strict=True):
        assert np.mean(np.abs(a - b) > 1e-5) < 0.02


@pytest.mark.parametrize(
    "game, options",
    [
        ("minimax_grad", {"penalty_every": 2}),
        pytest.param("minimax_grad", {}, marks=pytest.mark.slow),
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
    assert_alike(*(one.players.models["classifier"].get_weights() for one in (plain, compiled)))
    # What is traced once serves any number of steps, dropout and streamed batches, too.
    again = make_trainer(game, tiny_net(0.5), in_memory=False, jit_compile=True, **options)
    first = weights_after(again, [3, 2])
    assert again.traces == 1
    # Many steps a program, up to the 3 of an epoch: here 1, 3 and 1.
    many = make_trainer(game, tiny_net(0.5), jit_compile=True, many_a_program=True, **options)
    for ours, theirs in zip(first, weights_after(many, [1, 4]), strict=True):
        # Another program: a weight below 2 is rounded once in each of five steps of both.
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=5 * 2 * 2.0**-24)
    assert many.traces == 1
    in_other_calls = make_trainer(
        game, tiny_net(0.5), jit_compile=True, many_a_program=True, **options
    )
    assert_same(
        many.players.models["classifier"].get_weights(), weights_after(in_other_calls, [3, 2])
    )
    ours, theirs = (one.run(5, 7) for one in (many, again))
    for name in theirs:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-6)


# The program is made in the same way for every game.
@pytest.mark.parametrize("game", ["adv_fgsm", pytest.param("minimax_grad", marks=pytest.mark.slow)])
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
    bias = trainer.players.models["classifier"].trainable_variables[-1]
    bias.assign(np.full(bias.shape, np.nan))
    assert int(trainer.run(9, 7)["first_bad_step"]) == 9


@pytest.mark.parametrize("gpus", [0, 1])
def test_many_steps_a_program_want_a_gpu_xla_and_batches_in_memory(monkeypatch, gpus):
    monkeypatch.setattr(steps.tf.config, "list_logical_devices", lambda kind: [kind] * gpus)
    found = {
        (jit_compile, in_memory): steps.takes_programs(jit_compile, in_memory)
        for jit_compile in (False, True)
        for in_memory in (False, True)
    }
    assert [given for given, many in found.items() if many] == [(True, True)] * gpus


@pytest.mark.parametrize(
    "precision, apart, penalty",
    [
        # In float32 the nested penalty is compared above, and with pools in bfloat16 below.
        pytest.param("float32", 0.01, "nested", marks=pytest.mark.slow),
        ("float32", 0.01, "fused"),
        ("bfloat16", 0.1, "nested"),
    ],
)
def test_a_penalized_step_of_a_net_with_pools_is_the_same_by_xla(precision, apart, penalty):
    """The penalty outweighs the risk here, so Adam's first step is its gradient's sign.

    Signs differ where a gradient is rounding alone: in bfloat16 of 8 bits at more places.
    """

    def step(**options):
        net = NETS["mnist_cnn"](image_shape=(4, 4, 1), num_classes=3, dropout=0.0, seed=1)
        before = net.get_weights()
        options = {"gamma": 1e3, "penalty": penalty} | options
        trainer = make_trainer(net=net, precision=precision, **options)
        trainer.run(0, 1)
        moved = zip(trainer.players.models["classifier"].get_weights(), before, strict=True)
        return [np.sign(a - b) * (np.abs(a - b) > 1e-3) for a, b in moved]

    def distance(ours, theirs):
        return max(np.mean(a != b) for a, b in zip(ours[:4:2], theirs[:4:2], strict=True))

    plain, compiled = step(), step(jit_compile=True)
    assert distance(plain, compiled) < apart
    assert distance(plain, step(gamma=0.0)) > 2 * apart  # the penalty counts
