"""Checkpoints that survive, signals, broken risks, rates and progress."""

import glob
import io
import math
import os
import pathlib
import signal

import numpy as np
import pytest
import tensorflow as tf
import tiny

from mmtf.config import Schedule
from mmtf.errors import ConfigError
from mmtf.runtime import devices
from mmtf.storage.checkpoint_files import CheckpointError
from mmtf.training.callbacks import Callbacks
from mmtf.training.checkpoints import Checkpoints
from mmtf.training.learning_rate import WarmupCosine
from mmtf.training.loop import Interrupted, RiskNotFinite, fit
from mmtf.training.progress import Progress


def state(trainer):
    models = [w for model in trainer.players.models.values() for w in model.get_weights()]
    players = trainer.players.updaters
    if "solver" in players:
        moved = [players["solver"].descent, players["solver"].ascent]
    else:
        moved = [players["classifier"]]
    return models + [v.numpy() for one in moved for v in one.variables]


# Of the games between two networks one: how each rule resumes is in tests/solvers/test_contract.py.
NETWORKS = {"minimax_attnet"}


@pytest.mark.parametrize("game", ["minimax_grad", "adv_fgsm", "adv_pgd", *sorted(NETWORKS)])
def test_a_resumed_run_ends_bitwise_the_same(tmp_path, game):
    options = {"net_options": {"width": 8}} if game in NETWORKS else {}

    def trainer():
        return tiny.make_trainer(game, net=tiny.tiny_net(0.5), steps=20, **options)

    whole = trainer()
    fit(whole)
    first = trainer()
    stop_at = 33 if first.total_steps > 40 else 13
    checkpoints = Checkpoints(str(tmp_path), first.players)
    events = Callbacks(on_metrics=lambda step, metrics: os.kill(os.getpid(), signal.SIGTERM))
    events.evaluate_every = stop_at  # a call ends there
    seen = []

    def stop(step, metrics):
        seen.append(step)
        if step == stop_at:
            os.kill(os.getpid(), signal.SIGTERM)

    events.on_metrics = stop
    with pytest.raises(Interrupted) as stopped:
        fit(first, checkpoints=checkpoints, callbacks=events)
    assert stopped.value.step == stop_at and stopped.value.saved
    second = trainer()
    checkpoints = Checkpoints(str(tmp_path), second.players)
    step = checkpoints.restore(print)
    assert step == stop_at
    before = float(checkpoints.seconds.numpy())
    pace = fit(second, checkpoints=checkpoints, first=step)
    assert pace.seconds > before > 0
    for ours, theirs in zip(state(second), state(whole), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def saved_twice(folder):
    trainer = tiny.make_trainer()
    checkpoints = Checkpoints(folder, trainer.players)
    for step in (3, 6):
        trainer.run(step - 3, 3)
        checkpoints.save(step, seconds=float(step))
    return trainer


@pytest.mark.parametrize("damage", ["flipped", "cut", "index"])
def test_a_damaged_newest_checkpoint_falls_back_and_says_so(tmp_path, damage):
    saved_twice(str(tmp_path))
    (data,) = glob.glob(str(tmp_path / "ckpt-6.data*"))
    content = bytearray(pathlib.Path(data).read_bytes())
    if damage == "flipped":
        for place in range(0, len(content), 64):
            content[place] ^= 0xFF
    elif damage == "cut":
        content = content[: len(content) // 2]
    if damage == "index":
        (tmp_path / "ckpt-6.index").write_bytes(b"")
    else:
        pathlib.Path(data).write_bytes(content)
    trainer = tiny.make_trainer()
    said = []
    assert Checkpoints(str(tmp_path), trainer.players).restore(said.append) == 3
    assert len(said) == 1 and "ckpt-6" in said[0] and "is skipped" in said[0]
    reference = tiny.make_trainer()
    reference.run(0, 3)
    for ours, theirs in zip(state(trainer), state(reference), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_no_readable_checkpoint_is_an_error_and_none_at_all_is_step_zero(tmp_path):
    trainer = tiny.make_trainer()
    assert Checkpoints(str(tmp_path), trainer.players).restore(print) == 0
    saved_twice(str(tmp_path))
    for data in glob.glob(str(tmp_path / "ckpt-*.data*")):
        pathlib.Path(data).write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match="Delete that folder"):
        Checkpoints(str(tmp_path), trainer.players).restore(lambda line: None)


def cut_save(folder, stage):
    """A folder as kill -9 leaves it within the first save, which is TensorFlow's in these steps."""
    trainer = tiny.make_trainer()
    checkpoints = Checkpoints(folder, trainer.players, run={"seed": 0})
    trainer.run(0, 3)
    checkpoints.save(3, seconds=3.0)
    place = pathlib.Path(folder)
    index = place / "ckpt-3.index"
    (data,) = place.glob("ckpt-3.data*")
    (place / "checkpoint").unlink()
    if stage == "parts":
        (place / "ckpt-3_temp").mkdir()
        data.rename(place / "ckpt-3_temp" / f"part-00000-of-00001.{data.suffix}")
        index.unlink()
    elif stage == "data":
        index.unlink()
    elif stage == "part of the index":
        index.write_bytes(index.read_bytes()[:100])
    elif stage == "empty index":
        index.write_bytes(b"")
    elif stage == "data not on the disk":  # after the power went
        data.write_bytes(bytes(data.stat().st_size))
    elif stage == "half of the data on the disk":
        content = data.read_bytes()
        data.write_bytes(content[: len(content) // 2] + bytes(len(content) - len(content) // 2))
    else:
        assert stage == "whole"
    return trainer


@pytest.mark.parametrize(
    "stage",
    [
        "parts",
        "data",
        "empty index",
        "part of the index",
        "data not on the disk",
        "half of the data on the disk",
    ],
)
def test_a_kill_within_the_first_save_costs_that_save_alone(tmp_path, stage):
    cut_save(str(tmp_path), stage)
    trainer, said = tiny.make_trainer(), []
    before = state(trainer)
    checkpoints = Checkpoints(str(tmp_path), trainer.players, run={"seed": 0})
    assert checkpoints.restore(said.append) == 0
    # Without an index TensorFlow sees no checkpoint.
    assert len(said) == (0 if stage in ("parts", "data") else 2)
    assert not said or said[1].endswith("was completed: starting from step 0.")
    for ours, theirs in zip(state(trainer), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    fit(trainer, checkpoints=checkpoints)
    again = tiny.make_trainer()
    kept = Checkpoints(str(tmp_path), again.players, run={"seed": 0})
    assert kept.restore(said.append) == trainer.total_steps


def test_a_kill_after_the_first_save_before_its_name_is_listed_costs_nothing(tmp_path):
    killed = cut_save(str(tmp_path), "whole")
    trainer = tiny.make_trainer()
    assert Checkpoints(str(tmp_path), trainer.players).restore(pytest.fail) == 3
    for ours, theirs in zip(state(trainer), state(killed), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_checkpoint_that_cannot_be_written_says_what_to_do(tmp_path):
    (tmp_path / "file").write_text("")
    trainer = tiny.make_trainer()
    with pytest.raises(CheckpointError, match="goes on from the checkpoint before"):
        Checkpoints(str(tmp_path / "file" / "folder"), trainer.players).save(1, seconds=0.0)


def test_another_programs_checkpoints_are_never_deleted(tmp_path):
    """A CheckpointManager deletes the oldest that the folder's `checkpoint` file lists."""
    theirs = tf.train.Checkpoint(weight=tf.Variable(1.0))
    manager = tf.train.CheckpointManager(theirs, tmp_path, 5, checkpoint_name="model")
    manager.save()
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(ConfigError, match="new or was written by mmtf. Received: .* with model-1"):
        Checkpoints(str(tmp_path), tiny.make_trainer().players)
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_risk_that_is_not_finite_stops_before_it_is_saved(tmp_path):
    trainer = tiny.make_trainer()
    bias = trainer.players.models["classifier"].trainable_variables[-1]
    bias.assign(np.full(bias.shape, np.nan))
    checkpoints = Checkpoints(str(tmp_path), trainer.players)
    with pytest.raises(RiskNotFinite, match="NaN or infinite at step 0.*learning_rate"):
        fit(trainer, checkpoints=checkpoints)
    assert not glob.glob(str(tmp_path / "ckpt*"))


def test_events_come_in_order(tmp_path):
    trainer = tiny.make_trainer("adv_fgsm", steps=10, rounds=2)
    evaluated, ended = [], []
    events = Callbacks(on_evaluation=evaluated.append, evaluate_every=8, on_round_end=ended.append)
    fit(trainer, callbacks=events)
    assert evaluated == [0, 8, 16, 24, 30]
    assert ended == [0, 1, 2]
    # Stopped between a checkpoint and the evaluation that was due with it.
    evaluated.clear()
    resumed = tiny.make_trainer("adv_fgsm", steps=10, rounds=2)
    fit(resumed, callbacks=events, first=16)
    assert evaluated == [16, 24, 30]


def test_rate_against_its_formula():
    schedule = Schedule(steps=100, learning_rate=2e-3, warmup_steps=10, decay="cosine")
    rate = WarmupCosine(schedule, 100)
    assert float(rate(0)) == pytest.approx(2e-4)
    assert float(rate(9)) == pytest.approx(2e-3)
    assert float(rate(55)) == pytest.approx(1e-3, rel=1e-5)
    assert float(rate(99)) == pytest.approx(1e-3 * (1 + math.cos(math.pi * 89 / 90)), rel=1e-3)
    twice = WarmupCosine(schedule, 100, updates=2)
    for step in (0, 9, 55, 99):
        assert float(twice(2 * step)) == float(twice(2 * step + 1)) == float(rate(step))
    rate.set_steps(200)
    assert float(rate(105)) == pytest.approx(1e-3, rel=1e-5)
    assert float(WarmupCosine(Schedule(steps=5, learning_rate=1e-4), 5)(3)) == pytest.approx(1e-4)


def test_progress_prints_plain_lines_without_a_terminal():
    stream = io.StringIO()
    progress = Progress(10, stream=stream)
    progress.update(5, {"risk": 1.0})
    progress.update(10, {"risk": 0.5})
    progress.close()
    assert stream.getvalue().count("\n") == 1
    assert "10/10" in stream.getvalue() and "risk 0.5000" in stream.getvalue()


@pytest.mark.parametrize("fast", [True, False])
def test_precision_auto_is_what_the_hardware_computes_in(monkeypatch, fast):
    expected = "bfloat16" if fast else "float32"
    monkeypatch.setattr(devices.tf.config, "list_physical_devices", lambda kind: [])
    monkeypatch.setattr(devices.cpu, "has_bfloat16", lambda: fast)
    assert devices.resolve_precision("auto") == expected
    assert devices.resolve_precision("float32") == "float32"
    # The GPUs decide where there are any, the slowest of them.
    monkeypatch.setattr(devices.tf.config, "list_physical_devices", lambda kind: [(9, 0), (8, 0)])
    monkeypatch.setattr(devices.cpu, "has_bfloat16", lambda: not fast)
    monkeypatch.setattr(
        devices.tf.config.experimental,
        "get_device_details",
        lambda gpu: {"compute_capability": gpu if fast else min(gpu, (7, 5))},
    )
    assert devices.resolve_precision("auto") == expected


def test_an_interval_of_no_steps_is_refused():
    with pytest.raises(ConfigError, match="evaluate_every > 0"):
        Callbacks(evaluate_every=0)
