"""Progress of an evaluation: which cell of how many, how far, and the time left for all."""

import io
import re

import keras
import numpy as np
import pytest

from mmtf.attacks import ATTACKS, ExpectationOverTransformation, Transfer
from mmtf.attacks.loop import watching
from mmtf.attacks.universal import UniversalRecipe
from mmtf.classifiers.classifier import as_classifier
from mmtf.config import Schedule
from mmtf.data import Dataset
from mmtf.evaluation import progress as room
from mmtf.evaluation.best_response import AttNetRecipe, FittedAttNet
from mmtf.evaluation.fitted import as_fitted
from mmtf.evaluation.fitted_universal import FittedUniversal
from mmtf.evaluation.options import EvalOptions
from mmtf.evaluation.payoff import attack_classifier, payoff_matrix
from mmtf.evaluation.progress import CellsProgress, Work, cells_progress
from mmtf.threat import ThreatModel
from mmtf.training import progress as lines

THREAT = ThreatModel(eta=0.2)


@pytest.fixture
def clock(monkeypatch):
    """A clock that tests turn; lines are due at every update."""
    now = [100.0]
    monkeypatch.setattr(room.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(lines, "LINE_SECONDS", 0.0)
    return now


@pytest.fixture
def data(rng):
    """Two classes by the sign of the sum."""
    x = rng.uniform(-0.5, 0.5, (40, 3, 3, 1)).astype(np.float32)
    y = (x.sum((1, 2, 3)) > 0).astype(int)
    return Dataset(
        name="sums",
        train_images=x[:20],
        train_labels=y[:20],
        test_images=x[20:],
        test_labels=y[20:],
        num_classes=2,
    )


def classifier(classes=2):
    model = keras.Sequential([keras.Input((3, 3, 1)), keras.layers.Flatten()])
    model.add(keras.layers.Dense(classes, use_bias=False))
    weights = np.zeros((9, classes), np.float32)
    weights[:, 1] = 1.0
    model.set_weights([weights])
    return model


def test_the_time_left_is_that_of_all_cells(clock):
    stream = io.StringIO()
    whole = CellsProgress([Work(0, 2.0), Work(100, 1.0), Work(0, 5.0)], images=100, stream=stream)
    assert whole.seconds_left() is None
    with whole.cell("first") as show:
        bar = show()
        clock[0] += 10.0
        bar.update(50, {"iteration": "3/6"})
        # 100 of 900 passes in 10 s.
        assert whole.seconds_left() == pytest.approx(80.0)
        bar.update(100, {})
    with whole.cell("second") as show:
        clock[0] += 10.0  # fitting
        bar = show()
        # 200 + 100 of 900 in 20 s.
        assert whole.seconds_left() == pytest.approx(40.0)
        bar.update(100, {})
        assert whole.seconds_left() == pytest.approx(25.0)
    clock[0] += 1000.0  # between the cells nothing is measured
    assert whole.seconds_left() == pytest.approx(25.0)
    whole.skip()  # kept from an earlier call
    assert whole.seconds_left() == 0.0
    shown = stream.getvalue().splitlines()
    assert shown[0].startswith("cell 1/3  first 50/100") and shown[0].endswith(
        "iteration 3/6  about 80 s left in all"
    )
    assert "cell 2/3  second: fitting the attack" in shown


@pytest.mark.parametrize(
    "name, options, classes, passes",
    [
        ("fgsm", {}, 10, 3),
        ("pgd", {"steps": 5, "restarts": 4}, 10, 60),
        ("apgd_targeted", {"steps": 5, "targets": 9}, 4, 45),
        ("fab", {"steps": 5, "targets": 2}, 10, 40),
        ("square", {"steps": 70}, 10, 70),
        ("deepfool", {"steps": 5}, 1000, 100),
        ("deepfool", {"steps": 5, "candidates": None}, 1000, 10_000),
        ("autoattack", {"steps": 5, "targets": 9, "queries": 70}, 10, 15 + 135 + 180 + 70),
        ("autoattack", {"steps": 5, "targets": 9, "queries": 70}, 2, 15 + 20 + 70),
    ],
)
def test_passes_of_attacks(name, options, classes, passes):
    attack = ATTACKS[name](THREAT, **options)
    assert attack.passes(classes) == passes
    assert ExpectationOverTransformation(ATTACKS["fgsm"](THREAT), samples=3).passes(2) == Transfer(
        None, ATTACKS["pgd"](THREAT, steps=3)
    ).passes(2)


@pytest.mark.parametrize(
    "name, options, totals",
    [
        ("pgd", {"steps": 3, "restarts": 2}, {None: 6}),
        ("fab", {"steps": 3, "targets": 2}, {None: 6}),
        ("apgd_targeted", {"steps": 3}, {None: 6}),
        ("square", {"steps": 4}, {None: 4}),
        (
            "autoattack",
            {"steps": 3, "queries": 5},
            {"apgd": 3, "apgd_targeted": 6, "fab": 6, "square": 5},
        ),
    ],
)
def test_iterations_are_counted_of_all_and_by_part(name, options, totals, smooth, rng):
    """On images that no attack of so small a ball breaks."""
    x = rng.uniform(-1, 1, (30, 4, 4, 1)).astype(np.float32)
    logits = np.sort(smooth(x, training=False), -1)
    x = x[logits[:, -1] - logits[:, -2] > 0.5]
    y = np.argmax(smooth(x, training=False), 1)
    seen = []
    with watching(seen.append):
        ATTACKS[name](ThreatModel(eta=1e-3), **options)(smooth, x, y)
    for part, total in totals.items():
        mine = [one for one in seen if one.part == part]
        assert [one.number for one in mine] == list(range(1, total + 1))
        assert {one.total for one in mine} == {total} and {one.left for one in mine} == {len(x)}
    shares = [one.share for one in seen]
    assert shares == sorted(shares) and shares[0] == 0.0 and 0.5 < shares[-1] < 1.0


def test_a_table_tells_each_cell_and_each_part(data, capsys, clock, tmp_path):
    attacks = {"pgd": {"steps": 3}, "autoattack": {"steps": 2, "queries": 3}}
    options = EvalOptions(progress=True, cache_dir=str(tmp_path))
    given = {"etas": [1e-4, 2e-4], "options": options, "say": lambda line: None}
    models = {"a": classifier()}
    payoff_matrix(models, attacks, data, **given)
    shown = capsys.readouterr().err
    numbers = re.findall(r"cell (\d)/4", shown)
    assert sorted(set(numbers)) == list("1234") and numbers == sorted(numbers)
    assert "checks  a 0/20" in shown
    assert re.search(r"cell 4/4  a  eta 0.0002  autoattack \d+/20.*part square", shown)
    assert "iteration 3/3" in shown and "part apgd_targeted" not in shown  # of two classes
    payoff_matrix(models, attacks, data, **given)  # every cell from the cache
    assert "cell" not in capsys.readouterr().err


def test_a_row_shows_its_progress_only_if_asked(data, capsys, clock):
    attacks = {"none": ATTACKS["none"](THREAT), "pgd": ATTACKS["pgd"](THREAT, steps=2)}
    attack_classifier(classifier(), attacks, data)
    assert capsys.readouterr().err == ""
    attack_classifier(classifier(), attacks, data, EvalOptions(progress=True))
    shown = capsys.readouterr().err
    assert "cell 2/2  pgd" in shown and "left in all" in shown


def test_the_work_of_attacks_that_are_fitted(data):
    recipe = AttNetRecipe(schedule=Schedule(steps=7, batch_size=4), restarts=2)
    columns = [
        as_fitted(ATTACKS["pgd"](THREAT, steps=2)),
        FittedAttNet(THREAT, recipe),
        FittedUniversal(THREAT, UniversalRecipe(images=10, passes=2, steps=3, candidates=None)),
    ]
    given = [as_classifier(classifier())], columns, data
    whole = cells_progress(*given, EvalOptions(progress=True, checks=False))
    assert whole._work == [Work(0, 6.0), Work(6.0 * 2 * 7 * 4, 1.0), Work(10 * 2 * 60, 1.0)]
    assert cells_progress(*given, EvalOptions()) is None


def test_the_peak_of_the_process_is_recorded_and_kept(data, tmp_path):
    attacks = {"none": ATTACKS["none"](THREAT)}
    options = EvalOptions(cache_dir=str(tmp_path))
    model = classifier()
    first, *_, overall = attack_classifier(model, attacks, data, options)
    again = attack_classifier(model, attacks, data, options)[0]
    told = first.to_dict()["peak_memory_mib"]
    with open("/proc/self/status") as status:
        peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
    assert 100 < told <= peak + 1
    assert again.peak_memory_mib == first.peak_memory_mib and again.seconds == first.seconds
    assert "peak_memory_mib" not in overall.to_dict()
