"""The attacks of a run's table and curve compute in the precision of its training."""

import os
import types

import keras
import numpy as np
import pytest

from mmtf.attacks.loop import run as run_attack
from mmtf.classifiers.classifier import as_classifier
from mmtf.config import RunConfig, Schedule
from mmtf.data import Dataset
from mmtf.evaluation import misclassified, runner
from mmtf.runs import experiment
from mmtf.runs.curve import Curve

CONFIG = RunConfig(
    dataset="lines", attacks=("none", "fgsm"), net_options={}, schedule=Schedule(steps=5)
)


@pytest.fixture
def data(rng):
    x = rng.integers(0, 256, (20, 4, 4, 1)).astype(np.uint8)
    given = {"train_images": x, "test_images": x}
    labels = {"train_labels": np.arange(20) % 3, "test_labels": np.arange(20) % 3}
    return Dataset(name="lines", num_classes=3, **given, **labels)


@pytest.fixture
def seen(monkeypatch):
    """The precisions in which an attack that queries the classifier ran."""
    seen = set()

    def noted(attack, classifier, *given):
        if attack.queries_model:
            seen.add(classifier.precision)
        return run_attack(attack, classifier, *given)

    # No image counts as lost: those are attacked again in float32.
    monkeypatch.setattr(runner, "run", noted)
    monkeypatch.setattr(runner, "misclassified_fn", lambda _: lambda z, y: 0 * y)
    return seen


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_attacks_compute_as_training_does(precision, data, seen, tmp_path):
    layers = [keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(3)]
    classifier, said = as_classifier(keras.Sequential(layers)), []
    players = types.SimpleNamespace(classifier=classifier, models={})
    logs = types.SimpleNamespace(scalars=lambda *_: None, attack_images=lambda *_: None)
    workdir = types.SimpleNamespace(
        curve_path=str(tmp_path / "curve.json"), inside=lambda name: os.path.join(tmp_path, name)
    )
    curve = Curve(CONFIG, data, workdir, logs, precision)
    curve.add(players, 5)
    assert seen == {precision}
    seen.clear()
    run = types.SimpleNamespace(
        config=CONFIG, dataset=data, precision=precision, workdir=workdir, say=said.append
    )
    trained = types.SimpleNamespace(
        classifier=classifier, steps=5, trainer=types.SimpleNamespace(players=players)
    )
    rows = {one["attack"]: one["error"] for one in experiment._evaluate(run, trained, logs)}
    assert seen == {precision}
    clean = misclassified(classifier, *data.test()).mean()
    assert rows["none"] == curve.points[0]["none"] == pytest.approx(clean)
    assert ("bfloat16" in said[0]) == (precision == "bfloat16")
