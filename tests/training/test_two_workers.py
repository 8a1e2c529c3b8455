"""Two real processes on this machine play as one: the same weights, the same decisions."""

import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
import two_workers
from addresses import environment, free_addresses

from mmtf.distributed.workers import WorkerLost, Workers

# Images in memory and streamed, one round and two. That gradients of an attack network are summed
# over replicas is tested in test_replicas.py.
QUICK = ["minimax_grad", "adv_fgsm"]
SLOW = [name for name in two_workers.CASES if name not in QUICK]


@pytest.fixture(
    scope="module", params=[QUICK, pytest.param(SLOW, marks=pytest.mark.slow)], ids=" ".join
)
def played(request, tmp_path_factory):
    """What each of two workers ended with, by the game's name."""
    folder, names = tmp_path_factory.mktemp("workers"), request.param
    here = os.path.dirname(__file__)
    paths = [str(folder / f"{index}.npz") for index in range(2)]
    addresses = free_addresses(2)
    processes = [
        subprocess.Popen(
            [sys.executable, os.path.join(here, "two_workers.py"), path, *names],
            env={
                **os.environ,
                **environment(addresses, index),
                "PYTHONPATH": os.pathsep.join([os.getcwd(), here]),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for index, path in enumerate(paths)
    ]
    try:
        said = [process.communicate(timeout=300)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0], "\n".join(said)
    return [dict(np.load(path)) for path in paths]


def test_two_workers_have_the_same_weights(played):
    first, second = played
    assert sorted(first) == sorted(second) and first
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


def test_two_workers_give_the_weights_of_one_process(played):
    for name, found in played[0].items():
        alone = two_workers.weights(tf.distribute.get_strategy(), name)
        worst = np.abs(found - alone).max()
        # Two workers sum the same products in another order. A gradient entry sums at most
        # n = 8 examples x 16 units, each rounded by 2^-24: off by n 2^-24 of the sum of their
        # absolute values. Adam moves a weight by the rate times (about) g / |g|: off by that share
        # of the rate in a step, and c times it where the terms cancel to a c-th: c = 10 for a few
        # hundred entries of few terms. Replicas that kept their own gradients would be off by about
        # the rate.
        steps = two_workers.STEPS * (2 if name == "adv_fgsm" else 1)
        bound = 10 * two_workers.BATCH * 16 * 2**-24 * two_workers.RATE * steps
        assert worst < bound, (name, worst)


def test_a_worker_alone_needs_nobody():
    alone = Workers(tf.distribute.get_strategy())
    assert (alone.count, alone.index, alone.chief) == (1, 0, True)
    assert alone.agree(False, None, 0.1) == (False, None, 0.1)
    alone.require_same({"a": 1}, "")
    alone.wait()
    with pytest.raises(tf.errors.UnavailableError), alone.guard():
        raise tf.errors.UnavailableError(None, None, "not of the cluster")


def test_a_lost_worker_is_one_line_with_a_way_out():
    workers = Workers()
    workers.count, workers.index = 3, 2
    text = (
        "Graph execution error:\n\n File x\n\nCollective ops is aborted by: Socket closed\nmore\n"
    )
    for kind in (tf.errors.UnavailableError, tf.errors.UnknownError):
        with pytest.raises(WorkerLost) as caught, workers.guard():
            raise kind(None, None, text)
        said = str(caught.value)
        assert f"another worker is gone ({kind.__name__}: Socket" in said
        assert "same command" in said and "\n" not in said
    with pytest.raises(tf.errors.InternalError), workers.guard():
        raise tf.errors.InternalError(None, None, "of this machine")
