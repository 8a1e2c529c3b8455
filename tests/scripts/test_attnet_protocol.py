"""Hypotheses on the paper's AttNet: balls, order, measuring on digits, and the page of a record."""

import dataclasses

import keras
import numpy as np
import pytest

from mmtf import Schedule, ThreatModel, load_data
from mmtf.errors import ConfigError
from mmtf.evaluation.best_response import AttNetRecipe
from mmtf.reports import read_json
from scripts import attnet_protocol_page as page
from scripts.attnet_fit import fit_of, in_common, nearest, needed, verdict_of
from scripts.attnet_hypotheses import (
    ETAS,
    HYPOTHESES,
    KS,
    NETS,
    UNBOUNDED,
    Protocol,
    key_of,
    printed,
    run_of,
)
from scripts.attnet_overfitting import single_step
from scripts.attnet_protocol import Task, in_training_mode, measured, tasks
from scripts.blocks import rendered


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


def test_no_k_is_needed_where_the_whole_box_is_not_enough():
    def error_at(net, eta, k):
        return 0.5 if (net, eta) == ("minimax_grad", 0.4) else printed(net, eta)

    cells = [one for one in cells_of(error_at) if one["run"] != "undefended"]
    assert needed(cells, "minimax_grad", 0.4).text == "no k"  # 5 x 0.4 is the width of the box
    assert needed(cells, "minimax_grad", 0.3).text == "any measured"
    text = "\n".join(page.conclusion(record_of(cells)))
    assert "from k = 5 on, where the ball is the whole box." in text


@pytest.mark.parametrize(
    "protocol",
    [
        Protocol(clip="nothing", steps=2),
        Protocol(mode="training", steps=2),
        Protocol(images="test", label=False, steps=2),
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


def cells_of(error_at):
    """Cells of both nets at every k: error_at(net, eta, k)."""
    return [
        {**key_of(run_of(net, eta), eta, Protocol(k=k), "attnet"), "error": error_at(net, eta, k)}
        for net in NETS
        for eta in ETAS
        for k in KS
    ]


def record_of(cells, **runs):
    return {
        "cells": cells, "runs": runs, "command": ["scripts.attnet_protocol"], "commit": "0" * 40,
        "versions": {"tensorflow": "2", "keras": "3"}, "hardware": {"cores": 2, "cpu": "CPU"},
    }  # fmt: skip


def near(net, eta, k):
    """The printed errors at k = 4, and errors that grow with k at the others."""
    return min(1.0, max(0.0, printed(net, eta) + 0.3 * (k - 4)))


def test_the_k_that_made_the_printed_errors_is_found():
    cells = [one for net in NETS for one in cells_of(near) if one["run"].startswith(net)]
    # The undefended net has one cell for each radius: those of the first eta with it.
    assert fit_of(cells, Protocol(k=4)).errors["minimax_grad", 0.1] == printed("minimax_grad", 0.1)
    own = [one for one in cells if one["run"] != "undefended"]
    assert nearest(own) is None  # the undefended net's are missing
    assert needed(own, "minimax_grad", 0.1).text == "3 < k < 5"
    assert needed(own, "minimax_grad", 0.4).text == "3 < k"
    assert needed(own, "undefended", 0.1).text == "any measured"


def test_no_k_fits_where_two_errors_ask_for_different_k(monkeypatch):
    def error_at(net, eta, k):
        return printed(net, eta) if (k >= 5) == (net == "minimax_grad") else 0.0

    cells = [one for one in cells_of(error_at) if one["run"] != "undefended"]
    radii = sorted({round(k * eta, 6) for k in KS for eta in ETAS})
    for radius in radii:  # right at k = 1, too small a ball already at 0.4
        error = 0.697 if radius == 0.1 else 1.0
        key = key_of("undefended", radius, Protocol(), "attnet")
        cells.append({**key, "error": error})
    assert fit_of(cells, Protocol(k=1)).verdict == "does not fit"
    assert fit_of(cells, Protocol(k=5)).worst == ("undefended", 0.1)
    low, high = in_common(needed(cells, net, eta) for net in NETS for eta in ETAS)
    assert (low.net, low.k, high.net, high.k) == ("minimax_grad", 4, "undefended", 2)
    text = "\n".join(page.conclusion(record_of(cells)))
    assert "**No measured k fits all eight errors within 0.1** (k = 1, 2, 3, 4, 5, 6, 7, 8)" in text
    assert "Minimax-Grad at 0.1 asks for k > 4, undefended at 0.1 for k < 2" in text


@pytest.mark.parametrize(
    ("protocol", "clip", "radius", "bounds"),
    [
        (Protocol(images="test"), "ball and box", 0.1, True),
        (Protocol(clip="ball"), "ball", 0.2, True),
        (Protocol(clip="ball"), "ball and box", 0.2, False),  # the box is missing
        (Protocol(k=2), "ball and box", 0.1, False),  # a smaller ball
        (Protocol(mode="training"), "ball", 0.2, False),  # another classifier
    ],
)
def test_pgd_bounds_the_attacks_in_its_ball(protocol, clip, radius, bounds):
    cell = {"run": "minimax_grad-eta0.1", "attack": "pgd", "mode": "inference"}
    cell |= {"radius": radius, "clip": clip, "error": 0.05}
    expected = "does not fit, by PGD-40" if bounds else "open"
    assert verdict_of([cell], protocol) == expected
    assert verdict_of([{**cell, "error": 0.45}], protocol) == "open"  # as near as the tolerance


def test_the_page_says_what_a_small_record_has():
    protocol, net = Protocol(k=2), "minimax_grad"
    keys = [key_of(run_of(net, 0.1), 0.1, protocol, one) for one in ("attnet", "fgsm", "pgd")]
    cells = [{**key, "error": error} for key, error in zip(keys, (0.45, 0.5, 0.6), strict=True)]
    curve = [{"step": 8000, "n": 500, "none": 0.01, "fgsm_curr": 0.05, "pgd_curr": 0.9}]
    run = {"training": {"steps": 8000}, "curve": curve, "command": ["mmtf.run", "--game=lwa"]}
    blocks = page.blocks(record_of(cells, **{"lwa-eta0.4": run}))
    assert (
        "| (a) | k = 2 |  |  |  |  | 0.450 |  |  |  | 0.048 | 0.048 | open |"
        in (blocks["attnet figures"])
    )
    assert "| 2 |  |  |  |  | 0.450 / 0.500 / 0.600 |  |  |  |" in blocks["attnet bounds"]
    said = "Overfitting to FGSM is seen with LWA without dropout at eta 0.4, trained for"
    assert f"(d) {said} 8,000 of the 100,000 steps." in blocks["attnet conclusion"]
    assert "| 8,000 | 0.010 | 0.050 | 0.900 |" in blocks["attnet training"]
    for one in HYPOTHESES:
        assert one.did in blocks["attnet hypotheses"]


def test_a_long_training_is_shown_at_some_of_its_points_and_its_end():
    errors = {"n": 500, "none": 0.01, "fgsm_curr": 0.05, "pgd_curr": 0.1}
    curve = [{"step": 1000 * one, **errors} for one in range(101)]
    run = {"training": {"steps": 100_000}, "curve": curve, "command": ["mmtf.run", "--game=lwa"]}
    blocks = page.blocks(record_of([], **{"lwa-eta0.4": run}))
    rows = [line.split(" | ")[0] for line in blocks["attnet training"].splitlines()[2:]]
    assert rows == [f"| {step:,}" for step in range(0, 100_001, 4000)]
    longer = {**run, "curve": [*curve, {"step": 100_500, **errors}]}
    blocks = page.blocks(record_of([], **{"lwa-eta0.4": longer}))
    assert "| 100,000 |" in blocks["attnet training"]
    assert "| 100,500 |" in blocks["attnet training"]


@pytest.mark.parametrize(
    ("pgd", "said"),
    [
        ((0.9, 0.3, 0.8), "is seen"),
        ((0.9, 0.3, 0.45), "begins"),
        ((0.9, 0.3, 0.35), "is not seen"),
    ],
)
def test_overfitting_is_an_error_under_pgd_that_parts_from_that_under_fgsm(pgd, said):
    curve = [
        {"step": 50_000 * one, "n": 500, "none": 0.01, "fgsm_curr": 0.05, "pgd_curr": error}
        for one, error in enumerate(pgd)
    ]
    run = {"training": {"steps": 100_000}, "curve": curve, "command": ["mmtf.run", "--game=lwa"]}
    cell = {**key_of(run_of("minimax_grad", 0.1), 0.1, Protocol(), "attnet"), "error": 0.1}
    told = page.blocks(record_of([cell], **{"lwa-eta0.4": run}))["attnet conclusion"]
    assert f"(d) Overfitting to FGSM {said} with LWA" in told
    assert "trained for all 100,000 steps. PGD-10 errs least, on 0.300 of 500" in told


def test_the_final_errors_decide_on_overfitting_and_on_the_printed_error():
    point = {"step": 100_000, "n": 500, "none": 0.01, "fgsm_curr": 0.05, "pgd_curr": 0.3}
    run = {"training": {"steps": 100_000}, "curve": [point], "command": ["mmtf.run"]}
    ends = {"fgsm": (0.05, 1000), "pgd": (0.7, 500), "attnet": (0.2, 10_000)}

    def told(attnet):
        cells = [
            {**key_of(run_of("lwa", 0.4), 0.4, Protocol(), one), "error": error, "n": n}
            for one, (error, n) in {**ends, "attnet": (attnet, 10_000)}.items()
        ]
        return single_step(record_of(cells, **{"lwa-eta0.4": run}))[0]

    assert "(d) Overfitting to FGSM is seen with LWA" in told(0.2)
    assert "PGD-40 errs on 0.700 of 500, AttNet errs on 0.200 of 10,000. That does not" in told(0.2)
    assert "That may explain the printed 1.000 of AttNet" in told(0.95)


def test_network_games_that_leave_no_classifier_are_named():
    protocol, cells = Protocol(k=7), []
    for eta, clean in zip(ETAS, (0.01, 0.2, 0.6, 0.9), strict=True):
        run = run_of("minimax_attnet", eta, protocol)
        for attack, error in (("none", clean), ("attnet", 0.9)):
            cells.append({**key_of(run, eta, protocol, attack), "error": error})
    cells.append({**key_of("undefended", 0.1, Protocol(), "attnet"), "error": 0.1})
    text = "\n".join(page.conclusion(record_of(cells)))
    assert "err on 0.010 / 0.200 / 0.600 / 0.900 of clean images" in text
    assert ": at 0.3, 0.4 the game leaves no classifier to attack." in text


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [(0.2, 0.3, "FGSM breaks more"), (0.6, 0.7, "FGSM breaks fewer"), (0.4, 0.5, None)],
)
def test_fgsm_tells_whose_nets_are_more_fragile(low, high, said):
    ends = {"error": (low + high) / 2, "ci_low": low, "ci_high": high}  # the paper: 0.446
    cells = [{**key_of("undefended", 0.1, Protocol(), one), **ends} for one in ("fgsm", "attnet")]
    text = "\n".join(page.conclusion(record_of(cells)))
    if said is None:
        assert "FGSM breaks" not in text
    else:
        assert f"{said} images of the paper's nets than of these: undefended at 0.1." in text


def test_a_record_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match="a record of `python -m scripts.attnet_protocol`"):
        page.write(tmp_path / "nothing.json")


def test_the_page_is_that_of_its_record():
    assert page.PAGE.read_text() == rendered(page.PAGE, page.blocks(read_json(page.RECORD)))
