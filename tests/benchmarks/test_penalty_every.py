"""The trial behind the fast schedule's penalty, on the digits."""

import copy

from benchmarks.penalty_every import play
from mmtf.data import load_data
from scripts import gradient_games


def test_trainings_differ_in_the_penalty_alone(narrow_net):
    data = load_data("digits").holdout(100)
    given = {"eta": 0.3, "seed": 0, "pgd_examples": 20, "steps": 4}
    rows = [play(data, every=every, **given) for every in (1, 2)]
    for row, every in zip(rows, (1, 2), strict=True):
        assert row["config"]["game_options"].get("penalty_every", 1) == every
        assert (row["clean"]["n"], row["fgsm"]["n"], row["pgd"]["n"]) == (100, 100, 20)
        assert row["clean"]["error"] <= row["fgsm"]["error"]
    first, second = (copy.deepcopy(row["config"]) for row in rows)
    first["game_options"]["penalty_every"] = second["game_options"]["penalty_every"] = 0
    assert first == second


def test_the_table_has_means_and_ends():
    def run(every, seed, error):
        found = {"error": error, "n": 100}
        schedule = {"steps": 8}
        row = {"eta": 0.3, "every": every, "seed": seed, "seconds": 10.0, "precision": "float32"}
        return row | {"config": {"schedule": schedule}, "clean": found, "fgsm": found, "pgd": found}

    record = {
        "held_out": 100,
        "runs": [run(2, 0, 0.5), run(1, 0, 0.25), run(2, 1, 0.75)],
        "versions": {"tensorflow": "2", "keras": "3"},
        "hardware": {"cores": 2, "cpu": "CPU"},
        "commit": "abc",
    }
    lines = gradient_games.every(record).splitlines()
    assert lines[2] == "| 0.3 | all | 1 | 0.2500 | 0.2500 | 0.250 | 10 |"
    errors = "0.6250 [0.5000, 0.7500] | 0.6250 [0.5000, 0.7500] | 0.625 [0.500, 0.750]"
    assert lines[3] == f"| 0.3 | one in 2 | 2 | {errors} | 10 [10, 10] |"
