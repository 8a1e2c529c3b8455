"""Strategies by name; a worker that waits for others answers signals and its clock."""

import os
import signal
import subprocess
import sys
import types

import pytest
import tensorflow as tf
from addresses import environment, free_addresses

from mmtf.distributed.clusters import Cluster
from mmtf.distributed.rendezvous import meet
from mmtf.distributed.strategy import make_strategy
from mmtf.errors import ConfigError
from mmtf.runtime.devices import JIT_STEPS, default_strategy, resolve_jit

WAITING = (
    "import sys\n"
    "import mmtf.distributed.strategy\n"
    "from mmtf.distributed.clusters import find_cluster\n"
    "from mmtf.distributed.strategy import make_strategy\n"
    "mmtf.distributed.strategy.CONNECTION_SECONDS = 1\n"
    "make_strategy('multiworker', find_cluster(), assembly_seconds=float(sys.argv[1]),\n"
    "              say=lambda line: print(line, flush=True))\n"
)


def test_one_device_is_the_default():
    if not tf.config.list_physical_devices("GPU"):
        assert make_strategy("auto") is tf.distribute.get_strategy()
        with pytest.raises(ConfigError, match="Expected a GPU for distribution='mirrored'"):
            make_strategy("mirrored")


def test_xla_is_for_one_device(monkeypatch):
    default = tf.distribute.get_strategy()
    mirrored = tf.distribute.MirroredStrategy(["CPU:0"])
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: [])
    assert resolve_jit(None, default, JIT_STEPS) is False
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: ["GPU:0"])
    assert resolve_jit(None, default, JIT_STEPS) is True
    assert resolve_jit(None, default, JIT_STEPS - 1) is False  # compiling takes longer than it wins
    assert resolve_jit(None, mirrored, JIT_STEPS) is False
    assert resolve_jit(True, default, 1) is True and resolve_jit(False, default, 10**6) is False
    with pytest.raises(ConfigError, match="Expected one device .* Received: MirroredStrategy"):
        resolve_jit(True, mirrored, 1)


def test_a_program_that_has_begun_is_too_late():
    tf.zeros([]).numpy()
    alone = Cluster(tuple(free_addresses(1)), 0)
    with pytest.raises(ConfigError, match="before any other operation of TensorFlow"):
        make_strategy("multiworker", alone)


def test_impossible_strategies_get_one_line():
    with pytest.raises(ConfigError, match="Expected distribution to be one of auto, mirrored"):
        make_strategy("parameter_server")
    with pytest.raises(ConfigError, match="Expected a cluster"):
        make_strategy("multiworker")


def waiting(seconds, addresses=None):
    """The chief of two workers, the other of which never comes."""
    addresses = addresses or free_addresses(2)
    return subprocess.Popen(
        [sys.executable, "-c", WAITING, str(seconds)],
        env={
            **os.environ,
            **environment(addresses, 0),
            "PYTHONPATH": os.getcwd(),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_worker_that_waits_answers_a_signal():
    process = waiting(1000)
    assert "Worker 0 of 2 waits for all of localhost:" in process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=120)
    assert process.returncode == -signal.SIGTERM


@pytest.mark.slow  # that those who do not come are named in time: test_rendezvous.py
def test_a_worker_does_not_wait_for_ever():
    process = waiting(1)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "Expected all 2 workers within 1 s. Received: nothing from worker 1 (localhost:" in said


def test_a_worker_lost_before_tensorflow_knows_it_is_not_waited_for():
    """It meets the others and dies before it connects: TensorFlow alone would wait for an hour."""
    addresses = free_addresses(2)
    chief = waiting(100, addresses)
    meet(Cluster(tuple(addresses), 1), 100)
    said, _ = chief.communicate(timeout=100)
    assert "All are here and connect; in 1 s at most, or this process ends." in said
    assert chief.returncode == -signal.SIGALRM


def test_by_default_a_worker_keeps_to_its_own_gpus(monkeypatch):
    """A cluster lists the GPUs of all workers: MirroredStrategy() would reach for them."""

    def gpus(*tasks):
        names = [f"/job:worker/replica:0/task:{task}/device:GPU:0" for task in tasks]
        listed = [types.SimpleNamespace(name=name) for name in names]
        monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: listed)

    mirrored = []
    monkeypatch.setattr(tf.distribute, "MirroredStrategy", lambda: mirrored.append(1) or "mirrored")
    gpus(0, 1)
    assert default_strategy() is tf.distribute.get_strategy() and not mirrored
    gpus(0, 0)
    assert default_strategy() == "mirrored"
    gpus(0)
    assert default_strategy() is tf.distribute.get_strategy()
