"""Records are found by what they are, in JSON lines and in the older form of a file a cell."""

import json
import multiprocessing
import pathlib

import pytest

from mmtf.errors import ConfigError
from scripts.paper import convert
from scripts.paper.cells import Cell, Track
from scripts.paper.records import Results, read_records, write_record

TRACK = Track("mnist")
NOTE = "1,000 test images; images standardi{}ed one by one"


@pytest.fixture
def old(tmp_path):
    """Six records in the old form: two radii, two seeds, one with a note of earlier spelling."""
    cells = {}
    for number, (eta, defense, attack, seed) in enumerate(
        [
            (0.3, "lwa", "fgsm1", 0),
            (0.3, "lwa", "fgsm1", 2),
            (0.3, "lwa", "fgsm1", 10),
            (0.3, "adv_fgsm80", "none", 0),
            (0.1, "lwa", "none", 0),
            (0.1, "minimax_grad", "curve", 0),
        ]
    ):
        record = {"eta": eta, "defense": defense, "attack": attack, "seed": seed, "note": ""}
        record |= {"error": 1 / (3 + number), "points": [{"step": 1, "none": 0.1}]}
        path = tmp_path / str(TRACK) / f"eta{eta:g}" / defense / f"{attack}-seed{seed}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        cells[Cell(TRACK, eta, defense, attack, seed)] = record
        path.write_text(json.dumps({**record, "note": NOTE.format("s") if number == 4 else ""}))
        if number == 4:
            record["note"] = NOTE.format("z")
    return cells


def everything(root):
    results = Results(str(root))
    return {
        cell: record
        for eta in (0.1, 0.3)
        for seed in (0, 2, 10)
        for cell, record in results.at(TRACK, eta, seed).items()
    }


def test_results_find_every_seed_and_no_other_cell(keep):
    for seed in (10, 0, 2):
        keep(0.3, "lwa", "fgsm1", 0.1, seed=seed)
    keep(0.3, "lwa", "fgsm_curr", 0.2)
    keep(0.1, "lwa", "fgsm1", 0.3)
    found = keep.results.of(TRACK, 0.3, "lwa", "fgsm1")
    assert [one["seed"] for one in found] == [0, 2, 10]
    assert len(keep.results.of(TRACK, 0.3, "lwa")) == 4
    assert keep.results.of(TRACK, 0.3, "adv_fgsm1", "fgsm1") == []
    assert keep.results.record(Cell(TRACK, 0.3, "lwa", "fgsm1", 2))["seed"] == 2
    assert keep.results.record(Cell(TRACK, 0.3, "lwa", "fgsm1", 3)) is None


def test_tracks_are_those_with_records(keep, tmp_path):
    assert Results(str(tmp_path / "nothing")).tracks() == []
    keep(0.3, "lwa", "none", 0.1)
    keep(0.3, "lwa", "none", 0.1, track="cifar10-tutorial-paper")
    (tmp_path / "stray.txt").write_text("")
    (tmp_path / "a-b-c").mkdir()
    tracks = [str(one) for one in keep.results.tracks()]
    assert tracks == ["mnist-keras-fast", "cifar10-tutorial-paper"]


def test_a_file_has_a_line_a_cell_in_a_stable_order(tmp_path):
    cells = [Cell(TRACK, 0.3, *of) for of in (("lwa", "none"), ("lwa", "fgsm1"), ("adv", "none"))]
    for cell in [*cells, cells[0]]:
        write_record(str(tmp_path), cell, {"n": 1, "error": 0.1 + 0.2})
    path = tmp_path / "mnist-keras-fast" / "eta0.3.jsonl"
    lines = path.read_text().splitlines()
    assert lines[1] == (
        '{"attack": "fgsm1", "defense": "lwa", "error": 0.30000000000000004, "n": 1, "seed": 0}'
    )
    names = [(one["defense"], one["attack"]) for one in map(json.loads, lines)]
    assert names == [("adv", "none"), ("lwa", "fgsm1"), ("lwa", "none")]


def _write_many(root, defense):
    for number in range(20):
        write_record(root, Cell(TRACK, 0.3, defense, f"fgsm{number}"), {"error": number / 7})


def test_two_processes_that_write_at_once_lose_nothing(tmp_path):
    context = multiprocessing.get_context("fork")
    writers = [
        context.Process(target=_write_many, args=(str(tmp_path), defense)) for defense in "ab"
    ]
    for one in writers:
        one.start()
    for one in writers:
        one.join(60)
    assert [one.exitcode for one in writers] == [0, 0]
    found = read_records(str(tmp_path), TRACK, 0.3)
    assert {(cell.defense, cell.attack): one["error"] for cell, one in found.items()} == {
        (defense, f"fgsm{number}"): number / 7 for defense in "ab" for number in range(20)
    }


def test_a_damaged_line_is_named(tmp_path):
    write_record(str(tmp_path), Cell(TRACK, 0.3, "lwa", "none"), {})
    path = tmp_path / "mnist-keras-fast" / "eta0.3.jsonl"
    for damage in ("<<<<<<< ours", '{"defense": "lwa"}', "[]"):
        path.write_text(path.read_text().splitlines()[0] + f"\n{damage}\n")
        with pytest.raises(ConfigError, match=f"line 2 of {path}"):
            read_records(str(tmp_path), TRACK, 0.3)


def test_the_old_form_is_read_and_says_how_to_convert(old, tmp_path, capsys):
    assert everything(tmp_path) == old
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and f"python -m scripts.paper.convert {tmp_path}" in said
    assert Results(str(tmp_path)).tracks() == [TRACK]


def test_conversion_loses_nothing(old, tmp_path, capsys):
    assert convert.main(["convert", str(tmp_path)]) == 0
    folder = tmp_path / str(TRACK)
    assert f"{folder}/eta0.3.jsonl: 4 cells, 4 of them converted." in capsys.readouterr().out
    assert sorted(one.name for one in folder.glob("[!.]*")) == ["eta0.1.jsonl", "eta0.3.jsonl"]
    assert everything(tmp_path) == old
    assert capsys.readouterr().err == ""
    assert convert.main(["convert", str(tmp_path)]) == 0
    assert "no records in the old form" in capsys.readouterr().out


def test_a_newer_record_outlives_the_old_one(old, tmp_path, capsys):
    cell = Cell(TRACK, 0.3, "lwa", "fgsm1", 2)
    write_record(str(tmp_path), cell, {**old[cell], "error": 0.5})
    wanted = {**old, cell: {**old[cell], "error": 0.5}}
    assert everything(tmp_path) == wanted
    assert convert.main(["convert", str(tmp_path)]) == 0
    assert "4 of them converted (1 were there already)." in capsys.readouterr().out
    assert everything(tmp_path) == wanted


def test_old_files_stay_where_the_new_one_cannot_be_written(old, tmp_path, monkeypatch):
    def full(path, write):
        raise OSError("No space left on device")

    monkeypatch.setattr("scripts.paper.records.write_atomically", full)
    assert convert.main(["convert", str(tmp_path)]) == 1
    assert len(list(tmp_path.rglob("*.json"))) == len(old)


def test_no_folder_is_told_in_one_line(capsys):
    assert convert.main(["convert", "nowhere"]) == 1
    assert "Expected one folder of records. Received: ['nowhere']." in capsys.readouterr().err


def test_committed_records_are_in_json_lines():
    root = pathlib.Path(__file__).resolve().parents[3] / "results" / "cells"
    assert not list(root.rglob("*.json")) and len(list(root.rglob("*.jsonl"))) >= 10
    assert "standardised" not in "".join(file.read_text() for file in root.rglob("*.jsonl"))
