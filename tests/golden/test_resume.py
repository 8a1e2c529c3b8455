"""What was stopped or finished before modules moved goes on, and ends as it would have then."""

import json
import shutil

import numpy as np
import pytest
import readings
import trained
from commands import call
from readings import DATA, STOPPED_AT

# Float32 products of other CPUs round otherwise. Ten steps are left, each of Adam at 1e-4: a
# gradient, a sum of some thousand products, is off by sqrt(1000) * 2^-24 = 2e-6 of its size where
# rounding errors are independent, and ten steps by 2e-9; without oneDNN, and with its kernels for
# SSE, 1.5e-8 was seen, a weight's own rounding. A sign of the perturbation that turns over, where
# the gradient is 0 but for rounding, changes one of 32 images in one pixel, which is averaged with
# 15 others: a weight's gradient by 0.6 / 16 / sqrt(32) = 0.7 % of its size, ten steps by 7e-6.
# What is lost shows far above: without Adam's moments the weights are off by 6e-4.
TOLERANCE = 1e-5


@pytest.mark.parametrize("game", readings.TRAINED)
def test_a_stopped_training_goes_on(tmp_path, capfd, game):
    folder = tmp_path / "checkpoints"
    shutil.copytree(DATA / game, folder)
    weights = trained.weights_of(trained.train(game, folder))
    printed = "".join(capfd.readouterr())
    assert f"Going on from step {STOPPED_AT} of 30." in printed and "WARNING: ch" not in printed
    stored = np.load(DATA / f"{game}.npz")
    assert sorted(stored) == sorted(weights)
    for name, value in weights.items():
        np.testing.assert_allclose(value, stored[name], rtol=0, atol=TOLERANCE, err_msg=name)


@pytest.mark.parametrize("game", readings.KEPT_GAMES)
def test_checkpoints_of_the_runs_nets_have_the_same_variables(tmp_path, game):
    """One more or one less, and no checkpoint of before could be read."""
    stored = json.loads((DATA / "checkpoints.json").read_text())[game]
    assert trained.variables_of(game, tmp_path) == stored


def test_a_finished_run_prints_its_result(tmp_path):
    workdir = tmp_path / "run"
    shutil.copytree(DATA / "run", workdir)
    done = call("mmtf.run", f"--workdir={workdir}", *readings.RUN)
    assert done.returncode == 0, done.stderr
    stored = json.loads((DATA / "run.json").read_text())
    assert len(stored) >= 2
    assert readings.errors_in(done.stdout) == stored
    assert not (workdir / "checkpoints").exists()
