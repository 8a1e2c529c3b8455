"""One folder, one config, one process."""

import dataclasses
import json
import os
import subprocess
import sys

import pytest

from mmtf.config import RunConfig, Schedule
from mmtf.errors import ConfigError
from mmtf.reports import read_json
from mmtf.runs.workdir import Workdir, default_workdir, is_finished

GOLDEN = os.path.join(os.path.dirname(__file__), os.pardir, "golden", "data", "run")
CONFIG = RunConfig(dataset="digits", net_options={"init": "keras"}, schedule=Schedule(steps=5))

# Enters the folder and says so; then holds it until its standard input ends.
OTHER_PROCESS = """
import sys
from mmtf.config import RunConfig, Schedule
from mmtf.errors import ConfigError
from mmtf.runs.workdir import Workdir
config = RunConfig(dataset="digits", net_options={"init": "keras"}, schedule=Schedule(steps=5))
try:
    with Workdir(sys.argv[1], config):
        print("entered", flush=True)
        sys.stdin.read()
except ConfigError as error:
    print(error, flush=True)
"""


def start_other(path):
    return subprocess.Popen(
        [sys.executable, "-c", OTHER_PROCESS, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_new_folder_gets_the_config(tmp_path):
    path = tmp_path / "a" / "b"
    with Workdir(str(path), CONFIG) as workdir:
        assert workdir.path == str(path)
        assert workdir.inside("x") == str(path / "x")
        assert workdir.finished() is None
    assert RunConfig.from_dict(json.loads((path / "config.json").read_text())) == CONFIG
    assert sorted(os.listdir(path)) == [".lock", "config.json"]


def test_the_same_config_enters_again(tmp_path):
    for _ in range(2):
        with Workdir(str(tmp_path), CONFIG):
            pass


def test_options_of_a_users_net_enter_again(tmp_path):
    options = {"widths": (8, 16), "activation": os.path.join}
    config = dataclasses.replace(CONFIG, net="mynet:net", net_options=options)
    with Workdir(str(tmp_path), config) as workdir:
        os.mkdir(workdir.checkpoint_dir)
        for name in ("checkpoint", "run.json"):
            (tmp_path / "checkpoints" / name).touch()
    with Workdir(str(tmp_path), config):
        pass
    other = {"widths": (8, 16), "activation": os.path.split}
    with pytest.raises(ConfigError, match=r"net_options.activation: '\w+.join' -> '\w+.split'"):
        Workdir(str(tmp_path), dataclasses.replace(config, net_options=other)).__enter__()


def test_a_second_handle_is_refused_while_the_first_is_open(tmp_path):
    with Workdir(str(tmp_path), CONFIG):
        with pytest.raises(ConfigError, match="no other process uses"):
            Workdir(str(tmp_path), CONFIG).__enter__()
        with pytest.raises(ConfigError, match="no other process uses"):  # and stays so
            Workdir(str(tmp_path), CONFIG).__enter__()
    with Workdir(str(tmp_path), CONFIG):
        pass


def test_a_second_process_is_refused(tmp_path):
    with Workdir(str(tmp_path), CONFIG):
        said, _ = start_other(tmp_path).communicate(timeout=60)
    assert "Expected a folder that no other process uses" in said
    assert str(tmp_path) in said


def test_a_killed_process_lets_go(tmp_path):
    other = start_other(tmp_path)
    try:
        assert other.stdout.readline() == "entered\n"
        with pytest.raises(ConfigError, match="no other process uses"):
            Workdir(str(tmp_path), CONFIG).__enter__()
    finally:
        other.kill()
        other.communicate(timeout=60)
    with Workdir(str(tmp_path), CONFIG):
        pass


def test_another_config_is_refused_and_the_difference_shown(tmp_path):
    with Workdir(str(tmp_path), CONFIG) as workdir:
        os.makedirs(workdir.checkpoint_dir)
        open(os.path.join(workdir.checkpoint_dir, "checkpoint"), "w").close()
    other = dataclasses.replace(CONFIG, eta=0.1, schedule=Schedule(steps=6))
    refused = Workdir(str(tmp_path), other)
    with pytest.raises(ConfigError, match=r"eta: 0.3 -> 0.1; schedule.steps: 5 -> 6\. Give"):
        refused.__enter__()
    with Workdir(str(tmp_path), CONFIG):  # the refused one has let go of the lock
        pass


def test_a_run_that_could_not_start_claims_nothing(tmp_path):
    other = dataclasses.replace(CONFIG, eta=0.1)
    for config in (other, CONFIG):
        with Workdir(str(tmp_path), config) as workdir:
            assert read_json(workdir.config_path) == config.to_dict()


def test_what_has_lost_its_config_is_not_taken_over(tmp_path):
    (tmp_path / "record.json").write_text("{}")
    with pytest.raises(ConfigError, match="Expected a config.json .* but record.json"):
        Workdir(str(tmp_path), CONFIG).__enter__()


def test_a_torn_config_is_named(tmp_path):
    (tmp_path / "curve.json").write_text("[]")
    (tmp_path / "config.json").write_text('{"game": ')
    with pytest.raises(ConfigError, match="Expected JSON in .*config.json"):
        Workdir(str(tmp_path), CONFIG).__enter__()


def test_an_unwritable_path_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ConfigError, match="folder that can be written. Received: .*file"):
            Workdir(str(path), CONFIG).__enter__()


def test_finished(tmp_path):
    whole = read_json(os.path.join(GOLDEN, "record.json"))
    with Workdir(str(tmp_path), CONFIG) as workdir:
        assert not is_finished(str(tmp_path))
        with open(workdir.record_path, "w") as record:
            json.dump(whole, record)
        assert workdir.finished() == whole
        assert is_finished(str(tmp_path))
        with open(workdir.record_path, "w") as record:
            record.write("{")
        with pytest.raises(ConfigError, match="Expected JSON in .*record.json"):
            workdir.finished()


def test_home_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Workdir("~/run", CONFIG).path == str(tmp_path / "run")
    (tmp_path / "record.json").write_text("{}")
    assert is_finished("~")


@pytest.mark.parametrize(
    "changes, name",
    [
        ({}, "minimax_grad-digits-eta0.3-seed0"),
        ({"eta": 0.05, "norm": "l2", "seed": 3}, "minimax_grad-digits-eta0.05-l2-seed3"),
        ({"net_options": {"init": "tutorial"}}, "minimax_grad-digits-eta0.3-tutorial-seed0"),
        ({"schedule_name": "paper", "game": "lwa"}, "lwa-digits-eta0.3-paper-seed0"),
    ],
)
def test_default_workdir(changes, name):
    assert default_workdir(dataclasses.replace(CONFIG, **changes)) == os.path.join("runs", name)
