"""`python -m mmtf.additive` from flags to files, and the committed records."""

import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from mmtf.additive import report
from mmtf.additive.answers import QUESTIONS, answers
from mmtf.cli import additive as command

ROOT = pathlib.Path(__file__).resolve().parents[2]
RECORDS = sorted((ROOT / "results" / "additive").glob("*/record.json"))
SMALL = [
    "--dataset=digits",
    "--train_examples=60",
    "--test_examples=30",
    "--pgd_steps=2",
    "--search_steps=10",
    "--draws=2",
]
BRIEF = [*SMALL, "--epochs=2"]  # with a classifier that is trained


@pytest.fixture
def run(in_process):
    return in_process(command)


def test_files_and_resuming(run, tmp_path):
    asked = [*BRIEF, "--pairs=0-1,3-5", "--eta_attack=2", "--eta_defense=3", "--output=out"]
    asked += ["--attacks=none,fgm,pgd", "--defenses=none,smooth,best_vector"]
    status, printed, said = run(*asked)
    assert status == 0
    assert "attacker: eta 2 (eps 1 on [0, 1]); defender: eta 3 (eps 1.5 on [0, 1])" in said
    assert "[2/2] 3-5" in said
    assert "| 3-5, eta 2 / 3 (eps 1 / 1.5) |" in printed
    record = json.loads((tmp_path / "out/record.json").read_text())
    assert len(record["cells"]) == 2
    assert record["settings"]["attacks"] == ["none", "fgm", "pgd"]
    for cell in record["cells"]:
        phi = cell["objective"]
        assert phi["at_zero"] <= max(phi["hinge"], phi["sigmoid"]) <= phi["value"][1]
        # none has no box, fgm and pgd have two kinds: 5 x 3 defenses.
        assert len(cell["cells"]) == 15
        for one in cell["cells"]:
            assert one["true"]["ci_low"] <= one["true"]["error"] <= one["true"]["ci_high"]
        # FGM against no defense: phi and the approximate utility are the same count.
        found = report.find(cell, "fgm", "none", False)
        assert 1 - found["approximate"]["error"] == pytest.approx(phi["test_at_zero"], abs=1 / 30)
    assert (tmp_path / "out/accuracy.png").stat().st_size > 10_000
    served = tf.saved_model.load(str(tmp_path / "out/saved_model")).signatures["logits"]
    x = np.zeros((3, 28, 28, 1), np.float32)
    assert served(images=tf.constant(x))["logits"].shape == (3, 2)
    first, second = sorted((tmp_path / "out/cells").glob("*.json"))
    first.write_bytes(b"damaged")
    before = second.stat().st_mtime_ns
    status, again, _ = run(*asked)
    assert status == 0
    assert again == printed
    assert json.loads(first.read_text())["pair"] == "0-1"  # measured again
    assert second.stat().st_mtime_ns == before  # kept


def test_a_model_of_all_classes_is_restricted_to_the_pair(run, tmp_path):
    import keras

    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(10)]
    )
    model.save(tmp_path / "all.keras")
    asked = [*SMALL, "--classes=3,5", "--attacks=none", "--defenses=none", "--model=all.keras"]
    status, _, said = run(*asked, "--output=out")
    assert status == 0
    assert "No export" in said
    record = json.loads((tmp_path / "out/record.json").read_text())
    assert record["classifier"] == {"model": "all.keras"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--eta_attack=0"], "--eta_attack: Expected radii > 0"),
        (["--eta_attack=a"], "--eta_attack: Expected a radius"),
        (["--eta_attack=1,2", "--eta_defense=1,2,3"], "--eta_defense of one radius, or of 2"),
        (["--eta_attack=1,1"], "different radii"),
        (["--classes=0"], "two classes, --classes=0,1"),
        (["--classes=0,77"], "two different classes of 0 to 9"),
        (["--classes=1,1"], "two different classes"),
        (["--pairs=0-1", "--classes=0,1"], "--classes or --pairs"),
        (["--pairs=0:1"], "two classes, --pairs=0-1,3-5"),
        (["--pairs=0-1,0-1"], "different pairs"),
        (["--attacks=cw"], "attacks to be one of none, fgm"),
        (["--defenses=jpeg"], "defenses to be one of none"),
        (["--label=guess"], "label to be one of"),
        (["--net=vit"], "net to be one of mlp"),
        (["--model=nothing.keras"], "nothing.keras"),
        (["--net=mlp", "--model=nothing.keras"], "--net with a classifier that is trained"),
        (["--trust_saved_models"], "--trust_saved_models with --model"),
        (["--attacks=pgd", "--queries=5"], "--queries with autoattack among --attacks"),
        (["--bounds=0", "--model=nothing.keras"], "--bounds=LOW,HIGH"),
    ],
)
def test_a_wrong_flag_is_one_line(run, arguments, message):
    status, _, said = run(*SMALL, *arguments)
    assert status == 1
    lines = [line for line in said.splitlines() if not line.startswith("attacker:")]
    assert message in lines[0]
    assert lines[0].startswith("mmtf.additive: ")
    assert len(lines) == 1


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.parent.name)
def test_the_committed_texts_are_those_of_their_records(path):
    record = json.loads(path.read_text())
    assert (path.parent / "table.md").read_text() == report.text_of(record)
    assert (path.parent / "answers.md").read_text() == answers(record)


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.parent.name)
def test_in_the_committed_records(path):
    """The sigmoid is at least as good as the hinge, and every question has an answer."""
    cells = json.loads(path.read_text())["cells"]
    for cell in cells:
        assert cell["objective"]["sigmoid"] >= cell["objective"]["hinge"]
        assert cell["objective"]["value"][0] <= cell["objective"]["value"][1]
        refined = cell["objective"].get("refined", 1.0)  # older records have none
        assert refined >= cell["objective"]["sigmoid"]
    assert all(answer(cells) for answer in QUESTIONS.values())


def test_a_record_of_autoattack_alone_has_a_caption():
    rate = {"error": 0.5, "ci_low": 0.4, "ci_high": 0.6, "n": 10}
    one = {"attack": "autoattack", "defense": "none", "box": True, "true": rate}
    cell = {"test_n": 30, "train_n": 60, "objective": {}, "cells": [one]}
    assert "± 0.100" in report.caption([cell], box=True)
    assert "± 0.100" in report.caption([cell], box=False)


def test_a_class_without_test_images_has_an_answer():
    def one(defense, error):
        told = {"attack": "none", "defense": defense, "box": False}
        return {**told, "true": {"error": error}, "class_errors": [error, None]}

    cell = {"pair": "0-1", "eta_attack": 1.0, "eta_defense": 1.0, "smooth": None}
    cell |= {"objective": {"zero_is_best": False}}
    cell |= {"cells": [one("none", 0.0), one("best_vector", 0.5)]}
    (ask,) = (ask for question, ask in QUESTIONS.items() if "harm benign" in question)
    assert "in 0 of them at the cost of one class alone" in ask([cell])


def test_lines_ascend_and_are_of_one_defender():
    def cell(attack, defense):
        one = {"attack": "none", "defense": "none", "box": False, "true": {"error": attack / 10}}
        return {"pair": "0-1", "eta_attack": attack, "eta_defense": defense, "cells": [one]}

    found = report.lines([cell(6.0, 6.0), cell(2.0, 2.0)], "none", "none")
    assert found == {None: [(2.0, 0.8), (6.0, 0.4)]}
    found = report.lines([cell(4.0, 4.0), cell(4.0, 2.0), cell(2.0, 2.0)], "none", "none")
    assert found == {2.0: [(2.0, 0.8), (4.0, 0.6)], 4.0: [(4.0, 0.6)]}


@pytest.mark.parametrize(("eta", "who"), [(2.0, "both players"), (3.0, "the attacker")])
def test_the_axis_says_whose_radius_it_is(monkeypatch, eta, who):
    pytest.importorskip("matplotlib")
    told = []
    monkeypatch.setattr(
        report, "save", lambda figure, path: told.extend(one.get_xlabel() for one in figure.axes)
    )
    one = {"attack": "none", "defense": "best_vector", "box": False, "true": {"error": 0.5}}
    cell = {"pair": "0-1", "eta_attack": 2.0, "eta_defense": eta, "cells": [one]}
    report.draw({"cells": [cell]}, "unused.png")
    assert told == [f"eta of {who} (l2)"]
