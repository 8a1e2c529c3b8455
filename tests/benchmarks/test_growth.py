"""The arithmetic that growth is set against, one point measured, and the verdict."""

import json
import subprocess
import sys
import types
from pathlib import Path

from benchmarks import growth
from mmtf.nets import NETS
from scripts import growth as page

ROOT = Path(__file__).resolve().parents[2]


def test_the_arithmetic_of_the_tutorial_net():
    # App. A's net by hand: 28^2 places of 25 x 32, 14^2 of 800 x 64, and two dense layers.
    by_hand = 2 * (28**2 * 25 * 32 + 14**2 * 800 * 64 + 3136 * 512 + 512 * 10)
    assert growth.forward_flops(NETS["mnist_cnn"]()) == by_hand


def test_an_axis_changes_one_setting():
    points = growth.points_of("streamed_examples")
    assert [one.examples for one in points] == [6000, 15_000, 60_000, 120_000]
    assert all(one.streamed and one.batch == growth.Point().batch for one in points)


def test_a_point_is_timed_at_each_turn(capsys, monkeypatch):
    monkeypatch.setattr(growth, "FLAGS", types.SimpleNamespace(dataset="digits"))
    point = growth.Point(batch=4, size=12, channels=2, attack_steps=3, examples=40)
    growth.serve(point, ["go", "go"])
    about, *blocks = map(json.loads, capsys.readouterr().out.splitlines())
    net = NETS["mnist_cnn"](image_shape=(12, 12, 2))
    assert about["flops"] == growth.forward_flops(net) * 4 * 2 * 3
    assert about["data_mib"] == 40 * 12 * 12 * 2 / 2**20
    assert len(blocks) == 2
    assert all(one["seconds"] > 0 and one["peak_mib"] > 100 for one in blocks)


def test_an_axis_is_timed_in_turns(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    command = [sys.executable, "-m", "benchmarks.growth", "--dataset=digits", "--axes=classes"]
    output = tmp_path / "growth.json"
    subprocess.run([*command, "--blocks=2", f"--output={output}"], check=True)
    record = json.loads(output.read_text())
    assert [row["value"] for row in record["rows"]] == [10, 30, 100, 300, 1000]
    assert all(len(row["all_seconds"]) == 2 and row["seconds"] > 0 for row in record["rows"])
    assert "classes" in page.block(record)


def test_what_outgrows_the_work_is_named():
    row = {"axis": "batch", "value": 8, "seconds": 1.0, "flops": 1e9, "peak_mib": 100.0}
    fair = row | {"value": 16, "seconds": 2.1, "flops": 2e9}
    record = {"rows": [row, fair], "versions": {"tensorflow": "2", "keras": "3"}}
    record |= {"hardware": {"cpu": "x", "cores": 2}, "commit": "abc"}
    assert "Nowhere does time outgrow the work" in page.block(record)
    record["rows"].append(row | {"value": 32, "seconds": 6.0, "flops": 4e9})
    # Over the cheapest before it, not over the first.
    record["rows"].insert(1, row | {"value": 12, "seconds": 1.2, "flops": 1.5e9})
    assert "by more than 10% over: images in a batch (at 32: 1.88 x)" in page.block(record)


def test_memory_that_bends_upwards_is_named():
    rows = [{"value": v, "peak_mib": 500.0 + 2.0 * v} for v in (8, 64, 512)]
    assert page.bend("batch", rows) == 1.0
    rows[-1]["peak_mib"] *= 2
    assert page.bend("batch", rows) == 2.0
    square = [{"value": v, "peak_mib": 500.0 + v**2} for v in (28, 56, 96)]
    assert page.bend("size", square) == 1.0 and page.bend("batch", square) > 1.1
