"""Efficiencies from made-up records."""

import copy
import json

import pytest

from mmtf.config import RunConfig, Schedule
from scripts import scaling

RECORD = {
    "config": {"game": "lwa", "seed": 0, "schedule": {"batch_size": 128}},
    "precision": {"training": "float32"},
    "hardware": {"cpu": "x", "cores": 8, "gpus": ["H"]},
    "replicas": 1,
    "workers": 1,
    "training": {"images_per_second": 100.0},
}


def record(replicas, rate, **changes):
    one = copy.deepcopy(RECORD)
    one.update(replicas=replicas, workers=replicas, **changes)
    one["training"]["images_per_second"] = rate
    return one


def test_efficiency_is_the_share_of_a_linear_gain():
    runs = {"one": record(1, 100.0), "two": record(2, 180.0), "four": record(4, 300.0)}
    assert [row["efficiency"] for row in scaling.rows(runs)] == [1.0, 0.9, 0.75]
    # A baseline of two replicas.
    del runs["one"]
    assert [row["efficiency"] for row in scaling.rows(runs)] == [1.0, 300 / 360]


def test_a_run_told_to_go_without_xla_is_the_same_job_as_one_that_does():
    """As docs/scaling.md has it: one GPU by --jit_compile=false, several without being told."""
    schedule = Schedule(steps=2, batch_size=8)
    runs = {}
    for replicas, told in ((1, False), (8, None)):
        config = RunConfig(game="lwa", dataset="digits", schedule=schedule, jit_compile=told)
        changes = {"config": config.to_dict(), "jit_compile": False}
        runs[str(replicas)] = record(replicas, 100.0 * replicas, **changes)
    assert [row["efficiency"] for row in scaling.rows(runs)] == [1.0, 1.0]


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (record(2, None), "more than ten steps"),
        ({"some": "other file"}, "records of mmtf.run"),
        (record(2, 50.0, precision={"training": "bfloat16"}), "runs of one job"),
        (record(2, 50.0, jit_compile=True), "compiler"),
    ],
)
def test_what_cannot_be_compared_is_refused(other, message):
    with pytest.raises(ValueError, match=message):
        scaling.rows({"one": record(1, 100.0), "two": other})


def test_the_table(tmp_path, capsys):
    for name, one in (("one", record(1, 100.0)), ("two", record(2, 150.0))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "record.json").write_text(json.dumps(one))
    paths = [str(tmp_path / name) for name in ("one", "two")]
    assert scaling.main(["scaling", *paths]) == 0
    line = capsys.readouterr().out.splitlines()[2].split()
    assert line == [paths[1], "2", "2", "128", "150", "0.75"]
    assert scaling.main(["scaling", str(tmp_path / "one")]) == 1
    assert "two runs or more" in capsys.readouterr().err
    assert scaling.main(["scaling", str(tmp_path / "none")]) == 1
    assert "Expected workdirs of finished runs" in capsys.readouterr().err
