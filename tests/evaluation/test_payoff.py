"""`mmtf.evaluate`: several attacks, one frame."""

import keras
import numpy as np
import pandas as pd
import pytest

import mmtf
from mmtf.attacks import ATTACKS
from mmtf.config import Schedule
from mmtf.data import Dataset
from mmtf.errors import ConfigError
from mmtf.evaluation.best_response import AttNetRecipe, FittedAttNet
from mmtf.evaluation.frame import evaluate
from mmtf.evaluation.options import EvalOptions
from mmtf.evaluation.payoff import attack_classifier
from mmtf.threat import ThreatModel

pytestmark = pytest.mark.usefixtures("few_checks")
COLUMNS = ["attack", "error", "robust_accuracy", "ci_low", "ci_high", "n", "seconds", "in_doubt"]
THREAT = ThreatModel(eta=0.3)


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


@pytest.fixture
def classifier():
    """Right on all of `data`: logits (-sum x, sum x)."""
    model = keras.Sequential([keras.Input((2, 2, 1)), keras.layers.Flatten()])
    model.add(keras.layers.Dense(2, use_bias=False))
    model.set_weights([np.array([[-1.0, 1.0]] * 4, np.float32)])
    return model


def falls(data, count=0):
    """Which test examples FGSM turns: sum(clip(x -+ eta)) changes its sign."""
    x, y = data.test(count)
    z = np.clip(x - 0.3 * np.where(y, 1, -1)[:, None, None, None], -1, 1)
    return (z.sum((1, 2, 3)) > 0) != y


def test_evaluate(data, classifier):
    frame = evaluate(classifier, ["none", "fgsm"], data, threat=THREAT)
    assert list(frame.columns) == COLUMNS
    assert list(frame.attack) == ["none", "fgsm", "worst"]
    expected = falls(data).mean()
    assert 0.1 < expected < 0.9
    assert frame.error.tolist() == [0.0, expected, expected]
    assert frame.n.tolist() == [80, 80, 80]
    np.testing.assert_allclose(frame.robust_accuracy, 1 - frame.error)
    assert (frame.ci_low <= frame.error).all() and (frame.error <= frame.ci_high).all()


def test_attacks_by_their_own_names_and_fewer_examples(data, classifier):
    attacks = {"mine": ATTACKS["ifgsm"](THREAT, steps=5)}
    frame = evaluate(classifier, attacks, data, threat=ThreatModel(eta=1.0), max_examples=7)
    assert list(frame.attack) == ["mine", "worst"] and frame.n.tolist() == [7, 7]
    assert frame.error[0] == falls(data, 7).mean()


def test_worst_counts_examples_not_rates(data, classifier):
    """Two attacks, each of which turns examples that the other leaves."""
    x, y = data.test()

    class Only(type(ATTACKS["none"](THREAT))):
        def __init__(self, threat, *, label):
            super().__init__(threat)
            self.label = label

        def __call__(self, classifier, x, y, *, seed=(0, 0)):
            step = 0.3 * (1 - 2.0 * self.label)
            return self.threat.project(x + step, x)

    attacks = {"down": Only(THREAT, label=1), "up": Only(THREAT, label=0)}
    down, up, both = attack_classifier(classifier, attacks, data, EvalOptions(keep=2))
    np.testing.assert_array_equal(down.wrong, falls(data) & (y == 1))
    np.testing.assert_array_equal(up.wrong, falls(data) & (y == 0))
    assert both.error == down.error + up.error > max(down.error, up.error)
    assert len(down.images) == 2


def test_worst_is_that_over_the_union_of_balls(data, classifier):
    """A single step that reaches further than PGD's ball is no sign of masked gradients."""
    attacks = {
        "pgd": ATTACKS["pgd"](ThreatModel(eta=0.02), steps=3),
        "fgsm": ATTACKS["fgsm"](THREAT),
        "fgm": ATTACKS["fgm"](ThreatModel(eta=0.3, norm="l2")),
    }
    frame = evaluate(classifier, attacks, data)
    near, far, *_, both = frame.error
    assert near < far == both == falls(data).mean()
    assert frame.attrs["signs"] == [] and not frame.in_doubt.any()


def test_a_box_may_be_a_list(data, classifier):
    threat = ThreatModel(eta=0.3, box=[-1.0, 1.0])
    assert threat == THREAT and threat.box == (-1.0, 1.0)


def test_a_softmax_that_cannot_be_taken_off_is_refused(data, classifier):
    classifier.add(keras.layers.Lambda(keras.ops.softmax))
    with pytest.raises(ConfigError, match="Remove the softmax"):
        evaluate(classifier, ["none"], data, threat=THREAT)


def test_what_the_command_refuses_and_marks(data, classifier):
    five = keras.Sequential([keras.Input((2, 2, 1)), keras.layers.Flatten(), keras.layers.Dense(5)])
    with pytest.raises(ConfigError, match="model: Expected a model from images .* output shape"):
        evaluate(five, ["none"], data, threat=THREAT)
    with pytest.raises(ConfigError, match="threat=ThreatModel"):
        evaluate(classifier, ["none", "fgsm"], data)
    with pytest.raises(ConfigError, match="at least one attack"):
        evaluate(classifier, [], data, threat=THREAT)
    weights = [10_000 * weight for weight in classifier.get_weights()]
    classifier.set_weights(weights)  # the cross-entropy is flat
    with pytest.warns(UserWarning, match="zero_gradient .of the cross-entropy"):
        frame = evaluate(classifier, ["none", "fgsm"], data, threat=THREAT)
    assert frame.in_doubt.tolist() == [False, True, True]
    assert "zero_gradient" in frame.attrs["signs"][0]
    quiet = evaluate(classifier, ["none", "fgsm"], data, threat=THREAT, checks=False)
    assert not quiet.in_doubt.any()


def test_an_unknown_attack_is_refused(data, classifier):
    with pytest.raises(ConfigError, match="attack to be one of none, .* Received: 'gfsm'"):
        evaluate(classifier, ["gfsm"], data, threat=THREAT)


def test_the_function_keeps_its_name_beside_the_command(data, classifier):
    import mmtf
    import mmtf.evaluate

    frame = mmtf.evaluate(classifier, ["none"], data, threat=THREAT)
    assert list(frame.attack) == ["none", "worst"]


def test_several_models_make_a_payoff_matrix(data, classifier):
    models = {"a": classifier, "b": keras.models.clone_model(classifier)}
    models["b"].set_weights([-weight for weight in classifier.get_weights()])
    frame = evaluate(models, ["none", "fgsm"], data, threat=THREAT)
    assert list(frame.columns) == ["defense", *COLUMNS]
    assert list(frame.defense) == ["a"] * 3 + ["b"] * 3
    clean = frame[frame.attack == "none"].set_index("defense").error
    assert clean["a"] == 0 and clean["b"] == 1


def test_a_model_of_other_pixels_gets_the_same_figures(data, classifier):
    """Behind a Rescaling of [0, 1] it is the same function of the box's images."""
    layers = [keras.Input((2, 2, 1)), keras.layers.Rescaling(2.0, -1.0), classifier]
    theirs = keras.Sequential(layers)
    expected = evaluate(classifier, ["none", "fgsm", "pgd"], data, threat=THREAT, seed=1)
    said = mmtf.Classifier(theirs, bounds=(0, 1))
    found = evaluate(said, ["none", "fgsm", "pgd"], data, threat=THREAT, seed=1)
    pd.testing.assert_frame_equal(
        found.drop(columns="seconds"), expected.drop(columns="seconds"), check_exact=True
    )
    assert found.attrs == expected.attrs


def test_an_attack_network_is_trained_against_a_model_of_other_pixels(data, classifier):
    """Logits 10 times the pixel sum: a universal step of eta against a class breaks most of it."""
    theirs = keras.Sequential(
        [keras.Input((2, 2, 1)), keras.layers.Rescaling(2 / 255, -1.0), classifier]
    )
    recipe = AttNetRecipe(
        net="universal",
        loss="margin",
        schedule=Schedule(steps=40, batch_size=10, learning_rate=0.1),
    )
    said = mmtf.Classifier(theirs, bounds=(0, 255))
    attacks = {"attnet": FittedAttNet(THREAT, recipe, progress=False)}
    before = theirs.get_weights()
    found, _ = attack_classifier(said, attacks, data)
    fitted, _ = attack_classifier(classifier, attacks, data)
    # The strongest answer of one step for each class is FGSM's own: all pixels by eta.
    assert found.error == fitted.error == falls(data).mean()
    for one, other in zip(before, theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_impossible_options_are_refused():
    for options, message in (
        ({"batch_size": 0}, "batch_size > 0"),
        ({"max_examples": -1}, "max_examples >= 0"),
        ({"precision": "half"}, "precision to be one of"),
        ({"eot_samples": 0}, "eot_samples > 0"),
        ({"keep": -1}, "keep >= 0"),
    ):
        with pytest.raises(ConfigError, match=message):
            EvalOptions(**options)


def test_the_batch_size_decides_the_random_starts_alone(data, classifier):
    """FGSM has none: its errors are those of any batch size; PGD's single step has."""
    attacks = {"fgsm": ATTACKS["fgsm"](THREAT)}
    found = [
        attack_classifier(classifier, attacks, data, EvalOptions(batch_size=size))[0].wrong
        for size in (None, 1, 33)
    ]
    for wrong in found:
        np.testing.assert_array_equal(wrong, falls(data))
