"""The studies of section 4: what they train can be built, and the matrix runs end to end."""

import json
import os
import subprocess
import sys
import types

import pytest

from mmtf.errors import ConfigError
from mmtf.games.best_response import BestResponse
from mmtf.reports import read_json
from mmtf.reports.heat_map import heat_map
from mmtf.threat import ThreatModel
from scripts import attack_comparison, attack_networks, attacker_transfer

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


@pytest.mark.parametrize("name", attack_networks.recipes())
def test_every_recipe_can_be_played(name):
    recipe = attack_networks.recipes()[name]
    game = BestResponse(
        ThreatModel(eta=0.3), net=recipe.net, net_options=recipe.net_options, loss=recipe.loss
    )
    assert set(recipe.net_options) <= set(game.net_options)


def test_every_architecture_can_be_played():
    assert len(attacker_transfer.ARCHITECTURES) >= 4
    for net, options in attacker_transfer.ARCHITECTURES.values():
        BestResponse(ThreatModel(eta=0.3), net=net, net_options=options)


def test_a_heat_map_is_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    cells = [
        {"defense": "a", "attack": "x", "error": 0.1},
        {"defense": "b", "attack": "y", "error": 0.9},
    ]
    heat_map(cells, str(tmp_path / "map.png"), "attacks", "defenses")
    assert (tmp_path / "map.png").read_bytes()[1:4] == b"PNG"


def test_a_classifier_that_is_not_there_is_named(monkeypatch, capsys):
    given = types.SimpleNamespace(classifiers=["mine=nowhere"], recipes=None)
    monkeypatch.setattr(attack_networks, "FLAGS", given)
    assert attack_networks.main(["attack_networks"]) == 1
    said = capsys.readouterr().err
    assert "Received: mine=nowhere" in said and said.count("\n") == 1


def test_cells_of_another_classifier_are_refused(monkeypatch):
    monkeypatch.setattr(attack_networks, "FLAGS", types.SimpleNamespace(output="study.json"))
    key = {"classifier": "mine", "eta": 0.3, "recipe": "base", "settings": {"sizes": (3, 4)}}
    key |= {"dataset": "digits", "max_examples": 0, "digest": "a"}
    cells = [{**key, "settings": {"sizes": [3, 4]}, "test": {"error": 0.1}}]
    assert attack_networks._done(key, cells)
    assert not attack_networks._done({**key, "recipe": "other"}, cells)
    assert not attack_networks._done({**key, "eta": 0.2}, cells)
    assert not attack_networks._done({**key, "settings": {"sizes": (3,)}}, cells)
    for name, other in (("digest", "b"), ("dataset", "mnist"), ("max_examples", 5)):
        with pytest.raises(ConfigError, match=f"{name} {other} in the cells of 'mine'"):
            attack_networks._done({**key, name: other}, cells)


def test_a_table_of_one_name_is_of_one_classifier():
    record = read_json(attack_comparison.RECORD)
    expected = attack_comparison.block(record)
    stray = {**record["rows"][0], "digest": "another", "attack": "another"}
    rows = [stray, *record["rows"]]
    assert (
        expected.split("\n\n")[:2]
        == attack_comparison.block({**record, "rows": rows}).split("\n\n")[:2]
    )


@pytest.mark.slow
def test_the_transfer_matrix_end_to_end_and_again(tmp_path):
    pytest.importorskip("matplotlib")
    command = [sys.executable, "-m", "scripts.attacker_transfer", "--dataset=digits", "--steps=3"]
    command += ["--attack_steps=3", "--max_examples=40", f"--runs={tmp_path}/runs"]
    command += [f"--output={tmp_path}/transfer.json", f"--figure={tmp_path}/map.png"]
    records = []
    for _ in range(2):
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        with open(tmp_path / "transfer.json") as source:
            records.append(json.load(source)["cells"])
    # Six defenses; two attacks, five best responses and the worst of them; nothing trained twice.
    assert len(records[0]) == 6 * 8
    assert [one["error"] for one in records[0]] == [one["error"] for one in records[1]]
    assert "best response" not in done.stderr and (tmp_path / "map.png").exists()
