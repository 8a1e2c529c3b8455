"""The universal perturbation of each classifier, fitted on training images and kept."""

import keras
import numpy as np
import pytest

from mmtf.attacks import UniversalPerturbation
from mmtf.attacks.universal import UniversalRecipe
from mmtf.data import Dataset
from mmtf.evaluation import fitted_universal as room
from mmtf.evaluation.fitted import FittedAttack
from mmtf.evaluation.fitted_universal import FittedUniversal
from mmtf.evaluation.payoff import attack_classifier
from mmtf.threat import ThreatModel

THREAT = ThreatModel(eta=0.3)
RECIPE = UniversalRecipe(images=30, passes=2)


@pytest.fixture
def data(rng):
    """Both splits of class 1 alone: images of positive sum."""
    x = rng.uniform(0.0, 0.4, (80, 2, 2, 1)).astype(np.float32)
    y = np.ones(80, int)
    return Dataset(
        name="positive",
        train_images=x[:50],
        train_labels=y[:50],
        test_images=x[50:],
        test_labels=y[50:],
        num_classes=2,
    )


@pytest.fixture
def classifier():
    """logits (0, sum x)."""
    model = keras.Sequential([keras.Input((2, 2, 1)), keras.layers.Flatten()])
    model.add(keras.layers.Dense(2, use_bias=False))
    model.set_weights([np.array([[0.0, 1.0]] * 4, np.float32)])
    return model


def test_a_column_of_a_table(data, classifier):
    before = classifier.get_weights()
    fresh = FittedUniversal(THREAT, RECIPE)
    outcomes = attack_classifier(classifier, {"none": fresh, "universal": fresh}, data)
    assert [one.attack for one in outcomes] == ["none", "universal", "worst"]
    x, y = data.test()
    # -eta in every pixel turns the images of sum < 1.2: nearly all of this mean 0.8.
    expected = (x - 0.3).sum((1, 2, 3)) <= 0
    assert 0.8 < outcomes[1].error <= expected.mean()
    np.testing.assert_array_equal(before, classifier.get_weights())


def test_the_cache_is_keyed_by_weights_recipe_threat_and_seed(
    data, classifier, tmp_path, monkeypatch
):
    count = []
    find = room.universal_perturbation
    monkeypatch.setattr(
        room, "universal_perturbation", lambda *a, **k: count.append(1) or find(*a, **k)
    )

    def fit(threat=THREAT, recipe=RECIPE, seed=0):
        fresh = FittedUniversal(threat, recipe, seed=seed, cache_dir=str(tmp_path))
        return fresh.fit(classifier, data)

    first, again = fit(), fit()
    assert len(count) == 1 and isinstance(again, UniversalPerturbation)
    np.testing.assert_array_equal(first.perturbation, again.perturbation)
    fit(seed=1), fit(ThreatModel(eta=0.2)), fit(recipe=UniversalRecipe(images=20))
    classifier.set_weights([classifier.get_weights()[0] + 0.01])
    fit()
    assert len(count) == 5 == len(list(tmp_path.iterdir()))


def test_repr_says_how(data):
    text = repr(FittedUniversal(THREAT, RECIPE))
    assert "eta=0.3" in text and "images=30" in text
    # Cells of two seeds are two.
    seeds = [FittedUniversal(THREAT, RECIPE, seed=seed).identity() for seed in (0, 0, 1)]
    assert seeds[0] == seeds[1] != seeds[2]


def test_what_a_fresh_attack_owes():
    with pytest.raises(NotImplementedError, match="FittedAttack must define fit"):
        FittedAttack().fit(None, None)
