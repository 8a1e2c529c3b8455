"""Points of the scale benchmark: measured in their own process, rendered from the record."""

import json
import sys
import types

import numpy as np
import pytest

from benchmarks import scale
from mmtf.errors import RunError
from scripts import scale as page


@pytest.mark.parametrize("attack", ["fgsm", "deepfool"])
def test_a_point_is_measured_at_each_go(attack, capsys):
    point = scale.Point(attack=attack, size=16, classes=12, images=3, candidates=0)
    scale.serve(point, ["go", "go"])
    about, *runs = map(json.loads, capsys.readouterr().out.splitlines())
    assert about["batch_size"] == 3 and about["before_mib"] > 100 and len(runs) == 2
    assert all(one["seconds"] > 0 and one["cpu"] > 0 for one in runs)
    # The kernel counts pages thread by thread and adds up late: figures differ by less than 1 MiB.
    assert about["before_mib"] - 1 <= runs[0]["peak_mib"] <= runs[1]["peak_mib"] + 1


def test_batches_are_those_of_a_small_machine(monkeypatch, capsys):
    """24 images of 224 x 224 do not fit into a quarter of 8 GiB at once."""
    seen = []
    monkeypatch.setattr(scale, "classifier_of", lambda point: lambda x, training: x[:, 0, 0])
    monkeypatch.setattr(
        scale, "attack_of", lambda point, size: lambda model, x, y: seen.append((size, len(x)))
    )
    scale.serve(scale.Point(size=224), ["go"])
    assert seen == [(8, 24)] and json.loads(capsys.readouterr().out.splitlines()[0])


def test_peers_are_left_out_where_they_are_not_installed(monkeypatch):
    monkeypatch.setattr(scale.importlib.util, "find_spec", lambda name: None)
    points = scale.PARTS["resnet50"]()
    assert {one.who for one in points} == {"mmtf"}
    assert [one.attack for one in points] == list(scale.STEPS)


def test_a_point_that_dies_is_an_entry_of_its_own(monkeypatch):
    def died(*arguments):
        raise RunError("it died: Traceback\nMemoryError: 5 GiB")

    monkeypatch.setattr(scale, "TimedProcess", died)
    assert scale.measured(scale.Point())["error"] == "MemoryError: 5 GiB"


@pytest.fixture
def record():
    row = {"who": "mmtf", "attack": "deepfool", "candidates": 10, "size": 32, "classes": 2}
    row |= {"images": 24, "batch_size": 8, "steps": 2, "before_mib": 600.0, "peak_mib": 1624.0}
    row |= {"seconds": 2.4, "cpu": 3.6, "first_seconds": 5.0, "first_cpu": 6.0}
    broken = {name: row[name] for name in ("candidates", "size", "classes", "images", "steps")}
    broken |= {"who": "art", "attack": "pgd", "error": "MemoryError: 5 GiB"}
    parts = {"resnet50": [row, broken], "classes": [row | {"candidates": 0}], "sizes": [row]}
    made = {"versions": {"tensorflow": "2", "keras": "3"}, "commit": "abc"}
    return {"parts": parts, "hardware": {"cpu": "x", "cores": 2}, **made}


def test_the_page_has_peaks_and_what_died(record):
    made = page.blocks(record)
    assert "| deepfool | 2 | mmtf | 2 | 4 | 1,624 | 1,024 |" in made["resnet50"]
    assert "| pgd | 2 | ART | MemoryError: 5 GiB |  |  |  |" in made["resnet50"]
    assert "largest peak is 1.6 GiB" in made["resnet50"]
    assert "| DeepFool, all classes | 2 | 32 | 8 | 6.0 | 3.60 | 1,624 | 1,024 |" in made["scale"]


def test_peers_answer_on_a_keras_model(monkeypatch):
    """Foolbox's call, by a stand-in of it: batches, labels and the settings that are named."""
    from benchmarks.peers import tensorflow_attacks

    calls = []

    class FGSM:
        def __init__(self, random_start):
            assert random_start is False

        def __call__(self, model, x, y, epsilons):
            calls.append((len(x), y.numpy().tolist(), epsilons))
            return x, x + epsilons, None

    stand_in = types.SimpleNamespace(
        attacks=types.SimpleNamespace(LinfFastGradientAttack=FGSM),
        TensorFlowModel=lambda model, bounds: (model, bounds),
    )
    monkeypatch.setitem(sys.modules, "foolbox", stand_in)
    x = np.zeros((3, 2, 2, 1), np.float32)
    z = tensorflow_attacks.foolbox_attack("fgsm")(None, x, np.array([0, 1, 2]), 0.5, 2, 1)
    assert calls == [(2, [0, 1], 0.5), (1, [2], 0.5)]
    np.testing.assert_array_equal(z, x + 0.5)
    with pytest.raises(KeyError):
        tensorflow_attacks.foolbox_attack("apgd")
