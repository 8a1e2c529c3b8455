"""Networks trained afresh against a fixed classifier, and the pair they play against."""

import dataclasses
import json
import os

import keras
import numpy as np
import pytest
import tensorflow as tf

import mmtf
from mmtf.config import Schedule
from mmtf.errors import ConfigError
from mmtf.evaluation import best_response as room
from mmtf.evaluation.best_response import AttNetRecipe, FittedAttNet, best_response
from mmtf.evaluation.exploitability import losses, pair_exploitability
from mmtf.evaluation.payoff import attack_classifier
from mmtf.evaluation.runner import measure
from mmtf.threat import ThreatModel

THREAT = ThreatModel(eta=0.4)
RECIPE = AttNetRecipe(
    net="universal", loss="margin", schedule=Schedule(steps=60, batch_size=16, learning_rate=0.1)
)


def data():
    """Two classes, told apart by the sign of one pixel of size 0.2; the other pixels are noise."""
    random = np.random.default_rng(0)
    y = np.arange(80) % 2
    x = random.uniform(-0.1, 0.1, [80, 4, 4, 1]).astype(np.float32)
    x[:, 0, 0, 0] = 0.2 * (2 * y - 1)
    return mmtf.Dataset(
        name="sign",
        train_images=x[:60],
        train_labels=y[:60],
        test_images=x[60:],
        test_labels=y[60:],
        num_classes=2,
    )


def classifier():
    """logits = (0, 10 pixel): wrong as soon as the pixel moves by 0.2 against its class."""
    model = keras.Sequential(
        [keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    kernel = np.zeros([16, 2], np.float32)
    kernel[0, 1] = 10.0
    model.layers[-1].set_weights([kernel, np.zeros(2, np.float32)])
    return model


def test_the_best_response_is_found_and_the_classifier_left_alone():
    model = classifier()
    before = model.get_weights()
    attack = best_response(model, data(), THREAT, RECIPE, progress=False)
    x, y = data().test()
    assert measure(model, attack, x, y, name="a").error == 1.0
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    # The optimum is exactly eta against the class along the one pixel that counts.
    z = attack(model, x, y).numpy()
    assert np.abs(z - x)[:, 0, 0, 0] == pytest.approx(0.4, abs=0.01)


def test_the_cache_is_keyed_by_weights_recipe_threat_and_seed(tmp_path, monkeypatch):
    model, count = classifier(), []
    train = room.train
    monkeypatch.setattr(room, "train", lambda *a, **k: count.append(1) or train(*a, **k))
    options = {"cache_dir": str(tmp_path), "progress": False}
    first = best_response(model, data(), THREAT, RECIPE, **options)
    again = best_response(model, data(), THREAT, RECIPE, **options)
    assert len(count) == 1
    kept = FittedAttNet(THREAT, RECIPE, **options).kept_seconds(model, data())
    assert kept > 0 == FittedAttNet(THREAT, RECIPE, seed=1, **options).kept_seconds(model, data())
    for a, b in zip(first.network.get_weights(), again.network.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    best_response(model, data(), THREAT, RECIPE, seed=1, **options)
    best_response(model, data(), ThreatModel(eta=0.3), RECIPE, **options)
    model.layers[-1].set_weights([w + 0.01 for w in model.layers[-1].get_weights()])
    best_response(model, data(), THREAT, RECIPE, **options)
    assert len(count) == 4
    served = [name for name in os.listdir(tmp_path) if "." not in name]
    assert len(served) == 4 and os.path.exists(tmp_path / served[0] / "saved_model.pb")
    notes = [name for name in os.listdir(tmp_path) if name.endswith(".json")]
    assert len(notes) == 4
    with open(tmp_path / notes[0]) as source:
        assert set(json.load(source)) >= {"recipe", "train_errors", "eta"}
    # Other training images under the same name.
    other = dataclasses.replace(data(), train_images=data().train_images / 2)
    best_response(model, other, THREAT, RECIPE, **options)
    assert len(count) == 5


def test_the_seed_is_part_of_the_identity():
    seeds = [FittedAttNet(THREAT, RECIPE, seed=seed).identity() for seed in (0, 0, 1)]
    assert seeds[0] == seeds[1] != seeds[2]


def test_a_broken_file_in_the_cache_is_trained_again(tmp_path, capsys):
    model, options = classifier(), {"cache_dir": str(tmp_path), "progress": False}
    first = best_response(model, data(), THREAT, RECIPE, **options)
    (path,) = tmp_path.glob("*.keras")
    path.write_bytes(path.read_bytes()[:100])
    again = best_response(model, data(), THREAT, RECIPE, **options)
    assert f"! {path} cannot be read" in capsys.readouterr().err
    for a, b in zip(first.network.get_weights(), again.network.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert len(path.read_bytes()) > 100


def test_the_strongest_restart_is_chosen_on_training_images(monkeypatch):
    seen, strengths = [], iter([0.2, 0.6, 0.4])

    class Found:
        def __init__(self, error):
            self.error = error

    def fake(classifier, attack, x, y, *, name):
        seen.append(len(x))
        attack.strength = next(strengths)
        return Found(attack.strength)

    monkeypatch.setattr(room, "measure", fake)
    recipe = AttNetRecipe(net="universal", schedule=Schedule(steps=1, batch_size=4), restarts=3)
    best = best_response(classifier(), data(), THREAT, recipe, progress=False)
    assert best.strength == 0.6
    assert seen == [60, 60, 60]  # the training images, all of them


def test_a_column_of_a_table():
    outcomes = attack_classifier(
        classifier(), {"attnet_curr": FittedAttNet(THREAT, RECIPE, progress=False)}, data()
    )
    assert [one.attack for one in outcomes] == ["attnet_curr", "worst"]
    assert outcomes[0].error == 1.0 and outcomes[0].n == 20


def test_impossible_recipes_are_refused():
    with pytest.raises(ConfigError, match="restarts > 0"):
        AttNetRecipe(schedule=Schedule(steps=1), restarts=0)


def test_losses_are_the_cross_entropy():
    model, (x, y) = classifier(), data().test()
    logits = np.stack([np.zeros(20), 10.0 * x[:, 0, 0, 0]], 1).astype(np.float64)
    expected = np.log(np.exp(logits).sum(1)) - logits[np.arange(20), y]
    found = losses(model, tf.constant(x), tf.constant(y, tf.int32))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_exploitability_of_a_pair(tmp_path):
    """The attacker met does nothing: the defender is exploitable, and the lemma's 1 and 5 hold."""
    from mmtf.nets import ATTACK_NETS

    idle = ATTACK_NETS["universal"](THREAT, image_shape=(4, 4, 1), num_classes=2, output="tanh")
    idle.set_weights([0 * weight for weight in idle.get_weights()])
    report = pair_exploitability(
        classifier(),
        idle,
        data(),
        THREAT,
        make_net=classifier,
        recipes={"universal": RECIPE},
        schedule=Schedule(steps=2, batch_size=16, learning_rate=1e-3),
        cache_dir=str(tmp_path),
        progress=False,
    )
    errors = report["errors"]
    assert errors["f(u, v)"] == 0 and errors["f(u, v*(u))"] == 1
    # -log softmax: margin 2 for the idle attacker, -2 for the best one.
    assert report["risks"]["f(u, v)"] == pytest.approx(np.log1p(np.exp(-2)), abs=1e-4)
    assert report["risks"]["f(u, v*(u))"] == pytest.approx(np.log1p(np.exp(2)), abs=0.11)
    verdicts = [one["verdict"] for one in report["lemma"]]
    assert verdicts[0] == verdicts[4] == "holds"
    assert report["n"] == 20 and report["responses"] == ["universal", "universal"]


def test_several_devices_do_not_share_the_work(monkeypatch):
    """The classifier may have BatchNormalization, which replicas that train refuse."""
    from mmtf.training import train as training

    def shared():
        raise AssertionError("trained by a strategy of all devices")

    monkeypatch.setattr(training, "default_strategy", shared)
    best_response(classifier(), data(), THREAT, RECIPE, progress=False)
