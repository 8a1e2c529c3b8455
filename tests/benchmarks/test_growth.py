"""The arithmetic that growth is set against, one point measured, and the verdict."""

import json
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


def test_a_point_is_timed_at_each_go(capsys, monkeypatch):
    monkeypatch.setattr(growth, "FLAGS", types.SimpleNamespace(dataset="digits"))
    point = growth.Point(batch=4, size=12, channels=2, attack_steps=3, examples=40)
    growth.serve(point, ["go", "go"])
    about, *blocks = map(json.loads, capsys.readouterr().out.splitlines())
    net = NETS["mnist_cnn"](image_shape=(12, 12, 2))
    assert about["flops"] == growth.forward_flops(net) * 4 * 2 * 3
    assert about["data_mib"] == 40 * 12 * 12 * 2 / 2**20
    assert len(blocks) == 2
    assert all(one["seconds"] > 0 and one["peak_mib"] > 100 for one in blocks)


def test_the_points_of_an_axis_alternate(monkeypatch):
    asked = []

    class Fake:
        def __init__(self, point):
            self.ready, self.classes = {"flops": point.classes}, point.classes

        def go(self):
            asked.append(self.classes)
            return {"seconds": float(len(asked)), "peak_mib": 100.0 + len(asked)}

        def close(self):
            self.ready["closed"] = True

    monkeypatch.setattr(growth, "_process", Fake)
    first, *_, last = growth.time_axis("classes", 3)
    values = [10, 30, 100, 300, 1000]
    assert asked == [*values, *values[::-1], *values]
    assert first["all_seconds"] == [1.0, 10.0, 11.0] and first["seconds"] == 10.0
    assert last["all_seconds"] == [5.0, 6.0, 15.0] and last["peak_mib"] == 115.0
    assert (last["flops"], last["closed"]) == (1000, True)


def test_a_point_has_a_process_of_its_own(monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(growth, "FLAGS", types.SimpleNamespace(dataset="digits"))
    one = growth._process(growth.Point(batch=4, examples=40))
    assert one.ready["flops"] > 0 and one.go()["seconds"] > 0
    one.close()


def test_what_outgrows_the_work_is_named():
    row = {"axis": "batch", "value": 8, "seconds": 1.0, "flops": 1e9, "peak_mib": 100.0}
    fair = row | {"value": 16, "seconds": 2.1, "flops": 2e9}
    record = {"rows": [row, fair], "versions": {"tensorflow": "2", "keras": "3"}}
    record |= {"hardware": {"cpu": "x", "cores": 2}, "commit": "abc"}
    assert "Time grows faster than the work by at most" in page.block(record)
    record["rows"].append(row | {"value": 32, "seconds": 6.0, "flops": 4e9})
    # Over the cheapest before it, not over the first.
    record["rows"].insert(1, row | {"value": 12, "seconds": 1.2, "flops": 1.5e9})
    assert "by more than 10% in: images in a batch (at 32: 1.88 x)" in page.block(record)


def test_memory_that_bends_upwards_is_named():
    rows = [{"value": v, "peak_mib": 500.0 + 2.0 * v} for v in (8, 64, 512)]
    assert page.bend("batch", rows) == 1.0
    rows[-1]["peak_mib"] *= 2
    assert page.bend("batch", rows) == 2.0
    square = [{"value": v, "peak_mib": 500.0 + v**2} for v in (28, 56, 96)]
    assert page.bend("size", square) == 1.0 and page.bend("batch", square) > 1.1
