"""Hypotheses on the paper's AttNet: balls, order, measuring on digits, and the page of a record."""

import dataclasses

import keras
import numpy as np
import pytest

from mmtf import Schedule, ThreatModel, load_data
from mmtf.evaluation.best_response import AttNetRecipe
from scripts.attnet_hypotheses import ETAS, HYPOTHESES, KS, NETS, UNBOUNDED, Protocol, key_of
from scripts.attnet_protocol import Task, in_training_mode, measured, tasks


@pytest.fixture(scope="module")
def digits():
    data = load_data("digits")
    few = {"test_images": data.test_images[:60], "test_labels": data.test_labels[:60]}
    return dataclasses.replace(data, **few)


@pytest.fixture(scope="module")
def model(digits):
    """A linear classifier with dropout: the class means, so that it errs on few digits."""
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Flatten(), keras.layers.Dropout(0.9), keras.layers.Dense(10)]
    model = keras.Sequential([keras.Input(digits.image_shape), *layers])
    x, y = digits.train()
    means = np.stack([x[y == label].mean(0).ravel() for label in range(10)])
    model.layers[-1].set_weights([means.T, -0.5 * (means**2).sum(1)])
    return model


def test_the_balls_are_k_eta_and_the_box_is_as_said():
    for k in KS:
        for eta in ETAS:
            radius, box = Protocol(k=k).bounds(eta)
            assert radius == pytest.approx(k * eta, abs=1e-12) and box == (-1.0, 1.0)
            radius, (low, high) = Protocol(k=k, clip="ball").bounds(eta)
            # No point of the ball around an image in [-1, 1] is cut.
            assert radius == pytest.approx(k * eta) and high == -low == 1.0 + radius
            ThreatModel(eta=radius, box=(low, high)).require_images(-np.ones([1, 2, 2, 1], "f"))
    assert Protocol(clip="box").bounds(0.1)[0] == 2.0  # from one end of the box to the other
    assert Protocol(clip="nothing").bounds(0.4) == (UNBOUNDED, (-1 - UNBOUNDED, 1 + UNBOUNDED))


def test_every_hypothesis_is_measured_and_no_cell_twice():
    planned = list(tasks(games_k=5))
    for one in HYPOTHESES:
        if one.protocol:
            nets = {task.net for task in planned if task.protocol == one.protocol}
            assert set(NETS) <= nets, one.title
    balls = {(task.net, task.eta, task.protocol.k) for task in planned if task.protocol.clip[:4]}
    assert {(net, eta, k) for net in NETS for eta in ETAS for k in KS} <= balls
    assert {task.eta for task in planned if task.net == "minimax_attnet"} == set(ETAS)
    keys = [key_of(one.run, one.eta, one.protocol, "attnet") for one in planned]
    assert any(keys.count(key) > 1 for key in keys)  # shared cells, which are measured once


@pytest.mark.parametrize(
    "protocol",
    [
        Protocol(clip="nothing"),
        Protocol(mode="training"),
        Protocol(images="test", label=False),
    ],
)
def test_an_attack_network_is_measured_under_each_protocol(protocol, digits, model):
    recipe = AttNetRecipe(net_options={"width": 4}, schedule=Schedule(steps=2, batch_size=8))
    task = Task("undefended", 0.3, protocol)
    cell = measured(model, digits, task, "attnet", recipe)
    assert cell["n"] == 60 and cell["ci_low"] <= cell["error"] <= cell["ci_high"]


def test_gradient_attacks_have_the_same_ball(digits, model):
    errors = [
        measured(model, digits, Task("undefended", 0.3, Protocol(k=k)), "fgsm", None)["error"]
        for k in (1, 2)
    ]
    clean = measured(model, digits, Task("undefended", 0.3, Protocol()), "none", None)["error"]
    assert clean < errors[0] < errors[1]


def test_dropout_is_active_in_training_mode(digits, model):
    x, _ = digits.test(8)
    training = in_training_mode(model)
    assert training.count_params() - model.count_params() <= 2  # the state of the draws
    one, other = (np.asarray(training(x, training=False)) for _ in range(2))
    assert not np.allclose(one, other)
    np.testing.assert_array_equal(model(x, training=False), model(x, training=False))
