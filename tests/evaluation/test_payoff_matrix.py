"""Payoff matrices: what is kept, what is left out, what worst means."""

import dataclasses

import keras
import numpy as np
import pytest

from mmtf.data import Dataset
from mmtf.errors import ConfigError
from mmtf.evaluation import cells
from mmtf.evaluation.options import EvalOptions
from mmtf.evaluation.payoff import attack_classifier, payoff_matrix
from mmtf.evaluation.unions import balls_of, make_attacks_in
from mmtf.storage import cache


def linear(weights):
    """logits (-w.x, w.x) of four pixels."""
    model = keras.Sequential([keras.Input((2, 2, 1)), keras.layers.Flatten()])
    model.add(keras.layers.Dense(2, use_bias=False))
    weights = np.asarray(weights, np.float32)
    model.set_weights([np.stack([-weights, weights], 1)])
    return model


@pytest.fixture
def data(rng):
    x = rng.uniform(-1, 1, (90, 2, 2, 1)).astype(np.float32)
    y = (x.sum((1, 2, 3)) > 0).astype(int)
    return Dataset(
        name="halves",
        train_images=x[:10],
        train_labels=y[:10],
        test_images=x[10:],
        test_labels=y[10:],
        num_classes=2,
    )


def matrix(defenses, attacks, data, **options):
    """Without the checks for masked gradients, which take longest here, unless a test asks."""
    names = ("cache_dir", "seed", "precision", "checks")
    own = {"checks": False} | {name: options.pop(name) for name in names if name in options}
    options = {"etas": [0.2], "say": lambda line: None, **options}
    return payoff_matrix(defenses, attacks, data, options=EvalOptions(**own), **options)


def errors(found):
    return {(cell.defense, cell.attack): cell.wrong.mean() for cell in found.cells}


def test_worst_counts_the_image_itself(data):
    """A net that errs on half of the images; moving them by FGSM repairs none of these here."""
    data = dataclasses.replace(data, test_labels=1 - data.test_labels)
    net = linear([1.0] * 4)
    found = errors(matrix({"d": net}, {"square": {"steps": 1}}, data))
    assert found["d", "worst"] == 1.0


def test_cells_are_kept_by_what_they_were_made_of(data, tmp_path, monkeypatch):
    kept, net = {"cache_dir": str(tmp_path)}, linear([1.0] * 4)
    first = errors(matrix({"d": net}, {"fgsm": {}}, data, **kept))
    again = errors(matrix({"e": net}, {"fgsm": {}}, data, **kept))
    assert len(list(tmp_path.iterdir())) == 1  # the same net under another name
    assert again["e", "fgsm"] == first["d", "fgsm"]
    # Nearer to the boundary, under the same name and of the same number.
    other = dataclasses.replace(data, test_images=data.test_images / 2)
    found = errors(matrix({"d": net}, {"fgsm": {}}, other, **kept))
    assert found["d", "fgsm"] > first["d", "fgsm"]
    matrix({"d": linear([1, 1, 1, 2.0])}, {"fgsm": {}}, data, **kept)
    matrix({"d": net}, {"fgsm": {}}, data, **{**kept, "etas": [0.3]})
    matrix({"d": net}, {"fgsm": {}}, data, **{**kept, "seed": 5})
    matrix({"d": net}, {"fgsm": {}}, data, **kept, precision="bfloat16")
    assert len(list(tmp_path.iterdir())) == 6
    monkeypatch.setattr(cache, "source_digest", lambda: "of another mmtf")
    matrix({"d": net}, {"fgsm": {}}, data, **kept)
    assert len(list(tmp_path.iterdir())) == 7


def test_worst_has_no_distance_where_norms_differ(data):
    net, options = linear([1.0] * 4), EvalOptions(checks=False, distances=True)
    given = {"etas": [0.2], "options": options, "say": lambda line: None}
    attacks = {"pgd": {"steps": 2}}
    *each, worst = payoff_matrix({"d": net}, attacks, data, others={"l2": [1.0]}, **given).cells
    assert all("median_distance" in one.to_dict() for one in each) and len(each) == 2
    assert worst.distance is None and "median_distance" not in worst.to_dict()
    one, worst = payoff_matrix({"d": net}, attacks, data, **given).cells
    assert np.nanmax(worst.distance) == np.nanmax(one.distance) > 0
    balls = balls_of([0.2], "linf", {"l2": [1.0]})[0.2]
    made = make_attacks_in(balls, attacks)
    parts = {"linf": ["pgd"], "both": ["pgd", "pgd_l2"]}
    *_, alone, both, worst = attack_classifier(net, made, data, options, parts)
    assert alone.distance is not None and both.distance is None is worst.distance


class Broken:
    """Honest logits, a gradient that is NaN: FGSM's images hold NaN, no attack's others."""

    def __init__(self, net):
        self.net = net

    def __call__(self, x, training=False):
        import tensorflow as tf

        @tf.custom_gradient
        def poisoned(x):
            return x, lambda upstream: upstream * float("nan")

        return self.net(poisoned(x), training=training)


def test_an_attack_that_breaks_is_left_out_and_told(data):
    net = Broken(linear([1.0] * 4))
    found = matrix({"d": net}, {"none": {}, "fgsm": {}}, data, checks=True)
    assert set(errors(found)) == {("d", "none"), ("d", "worst")}
    assert {sign.check for sign in found.findings} == {"zero_gradient", "broken_attack"}


def test_pairs_are_compared_under_the_attacks_that_both_have(data):
    """The broken one has no FGSM: without it the two err alike, whatever FGSM does to the other."""
    net = linear([1.0] * 4)
    defenses = {"good": net, "broken": Broken(net)}
    found = matrix(defenses, {"none": {}, "fgsm": {}}, data)
    (test,) = found.comparisons[0.2]
    assert test["error_a"] == test["error_b"] == 0.0 and test["p"] == 1.0
    assert errors(found)["good", "worst"] > 0


def test_too_few_classes_are_refused_before_anything_is_measured(data):
    lines = []
    with pytest.raises(ConfigError, match="classes"):
        matrix(
            {"d": linear([1.0] * 4)},
            {"none": {}, "apgd_targeted": {}},
            data,
            say=lines.append,
        )
    assert not lines


def test_an_attack_whose_training_breaks_is_left_out_and_told(data, monkeypatch):
    from mmtf.evaluation import best_response as room
    from mmtf.evaluation.best_response import ATTNET_PAPER_FAST
    from mmtf.training.loop import RiskNotFinite

    def breaks(*unused, **options):
        raise RiskNotFinite("The risk is NaN or infinite at step 3.")

    monkeypatch.setattr(room, "train", breaks)
    recipes = {"attnet": ATTNET_PAPER_FAST}
    found = matrix({"d": linear([1.0] * 4)}, {"none": {}, "attnet": {}}, data, recipes=recipes)
    assert set(errors(found)) == {("d", "none"), ("d", "worst")}
    (sign,) = (sign for sign in found.findings if sign.check == "broken_attack")
    assert sign.value == "attnet: its training met a risk that is not finite"


def test_a_damaged_cell_is_measured_again(data, tmp_path, capsys):
    kept, net = {"cache_dir": str(tmp_path)}, linear([1.0] * 4)
    first = errors(matrix({"d": net}, {"fgsm": {}}, data, **kept))
    (path,) = tmp_path.iterdir()
    whole, readable = path.read_bytes(), 0
    for place in range(0, len(whole), 10):
        path.write_bytes(
            whole[:place] + bytes(len(whole[place : place + 30])) + whole[place + 30 :]
        )
        readable += cache.Entry(str(path)).load(cells._read) is not None
    assert readable < 0.5 * len(whole) / 10  # what is beside the arrays does not matter
    path.write_bytes(whole[:100])
    assert errors(matrix({"d": net}, {"fgsm": {}}, data, **kept)) == first
    assert "cannot be read" in capsys.readouterr().err
