"""Run as a script by each of two workers: plays games together, writes the weights it ends with.

    python two_workers.py OUTPUT.npz CASE [CASE ...]

The cluster must be there before TensorFlow starts, hence processes of their own.
"""

import dataclasses
import sys

import numpy as np
import tiny

import mmtf
from mmtf.config import Schedule
from mmtf.distributed.clusters import find_cluster
from mmtf.distributed.strategy import make_strategy
from mmtf.distributed.workers import Workers
from mmtf.errors import ConfigError
from mmtf.games import GAMES
from mmtf.training.callbacks import Callbacks

STEPS = 6
RATE = 1e-2
BATCH = 8
# The attack network without dropout, whose masks are those of the replica.
ATTACKER = {"net_options": {"width": 8, "depth": 1, "dropout": 0.0}}
# Name of the game -> its options, and whether the images are in memory.
CASES = {
    "minimax_grad": ({}, True),
    "adv_fgsm": ({"rounds": 1}, False),
    "minimax_attnet": (ATTACKER, True),
}


def pixels():
    """Images of bytes, as the real datasets have them."""
    x = np.random.default_rng(0).integers(0, 256, [24, 4, 4, 1]).astype(np.uint8)
    return dataclasses.replace(tiny.tiny_data(), train_images=x, test_images=x[:6])


def weights(strategy, name):
    """All players' weights after STEPS steps of each round."""
    options, in_memory = CASES[name]
    looks = []
    # The chief alone looks at the classifier meanwhile, which cuts everybody's calls.
    watched = Callbacks(on_evaluation=looks.append, evaluate_every=4)
    chief = Workers(strategy).chief
    trained = mmtf.train(
        GAMES[name](tiny.THREAT, **options),
        pixels(),
        schedule=Schedule(steps=STEPS, batch_size=BATCH, learning_rate=RATE),
        model=tiny.tiny_net,
        seed=3,
        precision="float32",
        strategy=strategy,
        in_memory=in_memory,
        events=(lambda trainer: watched) if chief else None,
        progress=False,
    )
    assert trained.trainer.traces == 1
    assert looks == ([0, *range(4, trained.steps, 4), trained.steps] if chief else [])
    players = trained.trainer.players.models.values()
    return np.concatenate([w.ravel() for model in players for w in model.get_weights()])


def main(path, *names):
    strategy = make_strategy("multiworker", find_cluster())
    workers = Workers(strategy)
    assert workers.count == 2 and workers.chief == (workers.index == 0)
    assert workers.share([7, 65535 - workers.index]) == [[7, 65535], [7, 65534]]
    # The chief's clock, anybody's signal.
    agreed = workers.agree(workers.chief, None if workers.chief else 15, float(workers.index))
    assert agreed == (True, 15, 0.0), agreed
    workers.require_same({"thing": {"a": 1}}, "")
    try:
        workers.require_same({"eta": 0.3, "step": workers.index}, "Mend it.")
    except ConfigError as error:
        here = f"on worker 1 (here, worker {workers.index}: step {workers.index}). Mend it."
        assert str(error).startswith("Expected the same step on all 2 workers."), error
        assert str(error).endswith(here), error
    else:
        raise AssertionError("different steps were accepted")
    np.savez(path, **{name: weights(strategy, name) for name in names})
    workers.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
