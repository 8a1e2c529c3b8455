"""FGSM k of kept rounds against any defense."""

import keras
import numpy as np
import pytest

from mmtf.attacks.single_step import FGSM
from mmtf.errors import ConfigError
from mmtf.evaluation import wilson
from mmtf.runs.rounds import kept_rounds, replay, round_path, rounds_matrix, shown_rounds
from mmtf.threat import ThreatModel

THREAT = ThreatModel(eta=0.3)
WEIGHTS = {0: [1, 1, 1, 1, 0, 0], 1: [1, 1, -1, -1, 0, 0], 2: [0, 0, 1, 1, 1, 1]}


def classifier_of(weights):
    """logits (0, w.x, -9): labels 0 and 1 only."""
    model = keras.Sequential([keras.Input((2, 3, 1)), keras.layers.Flatten()])
    model.add(keras.layers.Dense(3))
    kernel = np.zeros((6, 3), np.float32)
    kernel[:, 1] = weights
    model.set_weights([kernel, np.array([0, 0, -9], np.float32)])
    return model


@pytest.fixture
def data(make_dataset, rng):
    x = rng.uniform(-1, 1, (60, 2, 3, 1)).astype(np.float32)
    y = (x.sum((1, 2, 3)) > 0).astype(int)
    return make_dataset(
        train_images=x[:10], train_labels=y[:10], test_images=x[10:], test_labels=y[10:]
    )


@pytest.fixture
def folder(tmp_path):
    for number, weights in WEIGHTS.items():
        classifier_of(weights).save(round_path(str(tmp_path), number))
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / ".partial-1.keras").write_text("")
    return str(tmp_path)


def error_of(data, victim, source=None, count=0):
    """Error of round `victim` on FGSM made on round `source`, in NumPy."""
    x, y = data.test(count)
    z = x
    if source is not None:
        sign = np.sign(np.array(WEIGHTS[source])).reshape(1, 2, 3, 1)
        z = np.clip(x + 0.3 * sign * np.where(y, -1, 1)[:, None, None, None], -1, 1)
    logit = (z * np.array(WEIGHTS[victim]).reshape(1, 2, 3, 1)).sum((1, 2, 3))
    return ((logit > 0) != y).mean()


def test_kept_rounds(folder, tmp_path):
    assert kept_rounds(folder) == [0, 1, 2]
    assert kept_rounds(str(tmp_path / "absent")) == []


@pytest.mark.parametrize("number", [0, 7, 80, 999, 1000, 1234])
def test_a_round_is_found_where_it_is_kept(number, tmp_path):
    with open(round_path(str(tmp_path), number), "w"):
        assert kept_rounds(str(tmp_path)) == [number]


@pytest.mark.parametrize(
    "rounds, shown", [(0, [0]), (1, [0, 1]), (2, [0, 1, 2]), (3, [0, 1, 2, 3]), (80, [0, 1, 2, 80])]
)
def test_shown_rounds(rounds, shown):
    assert shown_rounds(rounds) == shown


def test_replay(folder, data):
    defenses = {"first": classifier_of(WEIGHTS[0]), "last": classifier_of(WEIGHTS[2])}
    results = replay(defenses, folder, [1, 3], THREAT, data)
    cells = {(one["defense"], one["attack"]): one for one in results}
    assert list(cells) == [
        *(("first", "fgsm1"), ("last", "fgsm1"), ("first", "fgsm3"), ("last", "fgsm3"))
    ]
    errors = {}
    for (defense, attack), cell in cells.items():
        victim, source = {"first": 0, "last": 2}[defense], int(attack[-1]) - 1
        errors[defense, attack] = error_of(data, victim, source)
        assert cell["error"] == errors[defense, attack]
        assert cell["n"] == 50
        low, high = wilson(round(cell["error"] * 50), 50)
        assert (cell["ci_low"], cell["ci_high"]) == (low, high)
    assert len(set(errors.values())) > 2
    fewer = replay(defenses, folder, [1], THREAT, data, count=20)
    assert fewer[0]["n"] == 20 and fewer[0]["error"] == error_of(data, 0, 0, 20)


@pytest.mark.parametrize("number", [0, 4])
def test_a_round_that_is_not_there(folder, data, number):
    message = rf"classifier of round {number - 1}, .*with rounds \[0, 1, 2\]"
    with pytest.raises(ConfigError, match=message):
        replay({}, folder, [number], THREAT, data)


def test_rounds_matrix(folder, data):
    results = rounds_matrix(folder, 2, THREAT, data)
    cells = {(one["defense"], one["attack"]): one["error"] for one in results}
    assert len(cells) == len(results)
    expected = {}
    for number, name in enumerate(["no_defense", "adv_fgsm1", "adv_fgsm2"]):
        expected[name, "none"] = error_of(data, number)
        expected[name, "fgsm1"] = error_of(data, number, 0)
        expected[name, "fgsm2"] = error_of(data, number, 1)
        expected[name, "fgsm_curr"] = error_of(data, number, number)
    assert cells == expected


def test_fgsm_curr_is_the_strongest_here(data):
    """The closed form of `error_of` is FGSM's own: a linear loss has no stronger attack."""
    x, y = data.test()
    z = FGSM(THREAT)(classifier_of(WEIGHTS[1]), x=np_to_tensor(x), y=np_to_tensor(y)).numpy()
    wrong = classifier_of(WEIGHTS[1])(z).numpy().argmax(1) != y
    assert wrong.mean() == error_of(data, 1, 1) >= error_of(data, 1, 0)


def np_to_tensor(array):
    return keras.ops.convert_to_tensor(array)
