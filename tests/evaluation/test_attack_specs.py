"""Columns of a payoff matrix: transferred, averaged and fitted attacks, and what names them."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmtf.attacks import (
    PGD,
    ExpectationOverTransformation,
    LearnedAttack,
    Transfer,
    UniversalPerturbation,
)
from mmtf.attacks.base import Attack
from mmtf.data import Dataset
from mmtf.errors import ConfigError
from mmtf.evaluation.attack_specs import make_attacks
from mmtf.evaluation.fitted import as_fitted, is_targeted
from mmtf.evaluation.fitted_universal import FittedUniversal
from mmtf.evaluation.options import EvalOptions
from mmtf.evaluation.payoff import payoff_matrix
from mmtf.threat import ThreatModel

THREAT = ThreatModel(eta=0.3)


def classifier(weights):
    """logits (0, w.x)."""
    model = keras.Sequential([keras.Input((2, 2, 1)), keras.layers.Flatten()])
    model.add(keras.layers.Dense(2, use_bias=False))
    model.set_weights([np.stack([np.zeros(4), weights], 1).astype(np.float32)])
    return model


@pytest.fixture
def data(rng):
    x = rng.uniform(-1, 1, (120, 2, 2, 1)).astype(np.float32)
    y = (x.sum((1, 2, 3)) > 0).astype(int)
    return Dataset(
        name="halves",
        train_images=x[:40],
        train_labels=y[:40],
        test_images=x[40:],
        test_labels=y[40:],
        num_classes=2,
    )


def test_which_columns_there_are():
    attacks = {name: {} for name in ("none", "fgsm", "square", "pgd", "universal")}
    attacks["pgd"] = {"restarts": 2}
    sources = {"a": classifier([1, 0, 0, 0]), "b": classifier([0, 1, 0, 0])}
    made = make_attacks(attacks, THREAT, sources=sources, eot_samples=4)
    assert list(made) == [*attacks, "fgsm@a", "pgd@a", "fgsm@b", "pgd@b"]
    kinds = {name: type(one).__name__ for name, one in made.items()}
    averaged, transferred = ExpectationOverTransformation.__name__, Transfer.__name__
    assert kinds["none"] == "NoAttack" and kinds["square"] == "Square"
    assert kinds["fgsm"] == kinds["pgd"] == averaged and made["pgd"].samples == 4
    assert kinds["fgsm@a"] == transferred and type(made["fgsm@a"].attack).__name__ == "FGSM"
    for one in (made["pgd"].attack, made["pgd@a"].attack):  # beyond the boundary, from one start
        assert (one.stop_early, one.restarts) == (False, 1)
    assert isinstance(made["universal"], FittedUniversal)
    assert type(make_attacks(attacks, THREAT)["pgd"]).__name__ == "PGD"


def test_a_sources_weights_are_part_of_a_columns_identity():
    names = set()
    for weights in ([1, 0, 0, 0], [0, 1, 0, 0]):
        sources = {"same": classifier(weights)}
        made = make_attacks({"fgsm": {}}, THREAT, sources=sources)
        again = make_attacks({"fgsm": {}}, THREAT, sources=sources)
        first, second = (as_fitted(one["fgsm@same"]).identity() for one in (made, again))
        assert first == second
        names |= {as_fitted(one).identity() for one in made.values()}
    assert len(names) == 3  # one white-box FGSM, two transferred


def test_no_samples_are_refused():
    with pytest.raises(ConfigError, match="eot_samples > 0"):
        make_attacks({"fgsm": {}}, THREAT, eot_samples=0)


def test_a_matrix_with_all_of_them(data, tmp_path):
    """FGSM on the source moves every image by eta sign(w of the source); in closed form."""
    victim, source = classifier([1, 1, 1, 1]), classifier([1, 1, 1, -1])
    options = {
        "etas": [0.3],
        "sources": {"other": source},
        "options": EvalOptions(eot_samples=2, cache_dir=str(tmp_path)),
        "say": lambda line: None,
    }
    attacks = {"none": {}, "fgsm": {}, "universal": {}}
    matrix = payoff_matrix({"mine": victim}, attacks, data, **options)
    cells = {cell.attack: cell for cell in matrix.cells}
    assert list(cells) == ["none", "fgsm", "universal", "fgsm@other", "worst"]
    x, y = data.test()
    against = np.where(y, -1, 1)[:, None, None, None]
    for name, weights in (("fgsm", [1, 1, 1, 1]), ("fgsm@other", [1, 1, 1, -1])):
        z = np.clip(x + 0.3 * against * np.reshape(weights, (2, 2, 1)), -1, 1)
        np.testing.assert_array_equal(cells[name].wrong, (z.sum((1, 2, 3)) > 0) != y)
    assert 0 == cells["none"].wrong.sum() < cells["fgsm@other"].wrong.sum()
    assert cells["fgsm@other"].wrong.sum() < cells["fgsm"].wrong.sum()
    # One sign for all: it turns one class, at the most as far as FGSM does.
    universal = cells["universal"].wrong
    assert universal.any() and (universal <= cells["fgsm"].wrong).all()
    # Again: cells and perturbation are read back.
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    payoff_matrix({"mine": victim}, attacks, data, **options)
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_a_source_that_does_not_fit_is_refused(data):
    model = keras.Sequential([keras.Input((2, 2, 1)), keras.layers.Flatten()])
    model.add(keras.layers.Dense(3))
    with pytest.raises(ConfigError, match="wide: Expected a model from images .* output shape"):
        payoff_matrix(
            {"mine": classifier([1, 1, 1, 1])},
            {"fgsm": {}},
            data,
            etas=[0.3],
            sources={"wide": model},
        )


def test_values_that_a_text_does_not_show_are_part_of_an_identity(rng):
    def network(seed):
        inputs = [keras.Input((2, 2, 1), name="x"), keras.Input((), name="y", dtype="int32")]
        start = keras.initializers.RandomNormal(seed=seed)
        hidden = keras.layers.Dense(1, kernel_initializer=start, name="d")(inputs[0])
        return keras.Model(inputs, hidden, name="attacker")

    v = rng.uniform(-0.1, 0.1, (40, 40, 1))
    other = np.array(v)
    other[20, 20] *= -1  # NumPy's text leaves out the middle of a large array
    attacks = [LearnedAttack(THREAT, network(seed)) for seed in (0, 1)]
    attacks += [UniversalPerturbation(THREAT, one) for one in (v, other)]
    attacks += [ExpectationOverTransformation(one, samples=2) for one in attacks[2:]]

    class Own(Attack):
        def __init__(self, threat, mask):
            super().__init__(threat)
            self.mask = mask

    attacks += [Own(THREAT, mask=one) for one in (v, other, tf.constant(v), tf.constant(other))]
    told = [as_fitted(one).identity() for one in attacks]
    assert len(set(told[:8])) == 8 and told[8] != told[9]


def test_a_target_is_seen_within_another_attack():
    aimed, free = PGD(THREAT, target=0, stop_early=False), PGD(THREAT, stop_early=False)
    for attack, targeted in ((aimed, True), (free, False)):
        for one in (attack, ExpectationOverTransformation(attack, samples=2)):
            assert is_targeted(one) is is_targeted(as_fitted(one)) is targeted


@pytest.mark.parametrize(
    "attacks, message",
    [
        ({"universal": {"images": 10}}, "universal with the option recipe alone"),
        ({"attnet": {"steps": 1}}, "attnet without options"),
    ],
)
def test_options_that_a_fitted_attack_does_not_have_are_refused(attacks, message):
    with pytest.raises(ConfigError, match=message):
        make_attacks(attacks, THREAT)


def test_what_is_no_attack_is_refused():
    for one in ({"steps": 5}, PGD, "pgd"):
        with pytest.raises(ConfigError, match="an attack that is made"):
            as_fitted(one)
