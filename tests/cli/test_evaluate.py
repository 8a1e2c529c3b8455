"""`python -m mmtf.evaluate` as a user meets it."""

import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys

import keras
import numpy as np
import pandas as pd
import pytest
from absl import flags
from commands import ROOT, call

from mmtf.classifiers.export import save_serving
from mmtf.classifiers.loading import load_classifier
from mmtf.cli.certified_flags import other_radii
from mmtf.cli.evaluate_flags import define_flags, radii, radius_order
from mmtf.data import load_digits
from mmtf.errors import ConfigError
from mmtf.evaluation import cells, payoff
from mmtf.evaluation.admission import attack_precision, validate_classifier
from mmtf.evaluation.options import EvalOptions
from mmtf.evaluation.unions import balls_of
from mmtf.nets import NETS
from mmtf.reports import write_html
from mmtf.stats.intervals import wilson
from mmtf.storage.lock import hold

pytestmark = pytest.mark.usefixtures("few_checks")
SHAPE = (28, 28, 1)
NAMES = {"net": "net.keras", "other": "served"}


def trusted(path):
    return load_classifier(path, trust_saved_models=True)


def evaluate(*flags, dataset="--dataset=digits"):
    return call("mmtf.evaluate", *((dataset, *flags) if dataset else flags))


def evaluate_alone(*flags):
    """In a process of its own."""
    command = [sys.executable, "-m", "mmtf.evaluate", "--dataset=digits", *flags]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A classifier of the digits, as .keras and as SavedModel."""
    folder = tmp_path_factory.mktemp("models")
    data = load_digits()
    model = NETS["strided_cnn"](seed=1)
    x, y = data.train()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss)
    model.fit(x, y, epochs=4, batch_size=32, verbose=0)
    model.save(folder / "net.keras")
    save_serving(model, data.preprocess, SHAPE, str(folder / "served"))
    return folder, model


def test_a_keras_file_and_its_saved_model_get_the_same_figures(trained, tmp_path, monkeypatch):
    folder, _ = trained
    flags = [f"--model={folder}/net.keras", f"--model=other={folder}/served"]
    flags += ["--trust_saved_models"]
    flags += ["--attacks=none,fgsm,pgd", "--eta=0.1,0.3", "--max_examples=60", "--pgd_steps=5"]
    done = evaluate(*flags, f"--output={tmp_path}/report")
    assert done.returncode == 0, done.stderr
    frame = pd.read_csv(tmp_path / "report" / "table.csv")
    assert len(frame) == 2 * 2 * 4 and set(frame.attack) == {"none", "fgsm", "pgd", "worst"}
    errors = frame.pivot_table(index=["attack", "eta"], columns="defense", values="error")
    # Two float32 graphs of one net: an example at the boundary may differ.
    assert (errors["net"] - errors["other"]).abs().max() <= 1 / 60 + 1e-9
    worst = errors["net"]["worst"]
    for eta in (0.1, 0.3):
        assert worst[eta] >= errors["net"]["pgd"][eta] >= errors["net"]["none"][eta]
    with np.load(tmp_path / "report" / "examples.npz") as kept:
        wrong, distance = kept["net/pgd/0.1/wrong"], kept["net/pgd/0.1/distance"]
    assert wrong.shape == (60,) and np.isfinite(distance[wrong]).all()
    assert np.nanmax(distance) <= 0.1 + 1e-6 and np.isnan(distance[~wrong]).all()
    row = frame[(frame.defense == "net") & (frame.attack == "pgd") & (frame.eta == 0.1)].iloc[0]
    assert row.error == pytest.approx(wrong.mean())
    assert (row.ci_low, row.ci_high) == pytest.approx(wilson(int(wrong.sum()), 60))
    assert row.median_distance == pytest.approx(np.median(distance[wrong]))
    page = (tmp_path / "report" / "report.html").read_text()
    assert "<svg" in page and "data:image/png;base64" in page and "http" not in page
    (tmp_path / "report" / "report.html").unlink()
    write_html(str(tmp_path / "report" / "record.json"))
    assert (tmp_path / "report" / "report.html").read_text() == page
    with open(tmp_path / "report" / "record.json") as source:
        record = json.load(source)
    assert record["comparisons"]["0.1"][0]["a"] == "net"
    # Again, by another caller: read back, not measured.
    monkeypatch.setattr(cells, "_measure", None)
    again = payoff.payoff_matrix(
        {one: trusted(f"{folder}/{path}") for one, path in NAMES.items()},
        {"none": {}, "fgsm": {}, "pgd": record["attacks"]["pgd"]},
        load_digits(),
        etas=[0.1, 0.3],
        options=EvalOptions(
            max_examples=60,
            checks=False,
            keep=8,
            distances=True,
            cache_dir=str(tmp_path / "report" / "cells"),
        ),
        say=lambda line: None,
    )
    read = {(one.defense, one.attack, one.eta): one.wrong.mean() for one in again.cells}
    assert read == {(row.defense, row.attack, row.eta): row.error for row in frame.itertuples()}


@pytest.mark.slow
def test_transferred_averaged_and_universal_columns(trained, tmp_path):
    folder, _ = trained
    flags = [f"--model={folder}/net.keras", f"--transfer_from=other={folder}/served"]
    flags.append("--trust_saved_models")
    flags += ["--attacks=none,fgsm,universal", "--eta=1", "--max_examples=40", "--eot_samples=2"]
    done = evaluate(*flags, f"--output={tmp_path}/report")
    assert done.returncode == 0, done.stderr
    errors = pd.read_csv(tmp_path / "report" / "table.csv").set_index("attack").error
    assert list(errors.index) == ["none", "fgsm", "universal", "fgsm@other", "worst"]
    # The source is the same net: its images are the victim's own but for float32.
    assert errors["fgsm@other"] == pytest.approx(errors["fgsm"], abs=1 / 40 + 1e-9)
    assert errors["none"] < 0.3 < errors["universal"]
    with open(tmp_path / "report" / "record.json") as source:
        record = json.load(source)
    assert (record["eot_samples"], record["transfer_from"]) == (2, ["other"])


def test_aims_and_losses_and_what_they_are_for(trained, tmp_path):
    folder, _ = trained
    flags = [f"--model={folder}/net.keras", "--attacks=fgsm,pgd", "--max_examples=20"]
    flags += ["--pgd_loss=margin", "--pgd_decay=linear", "--pgd_steps=3", "--target=least_likely"]
    done = evaluate(*flags, f"--output={tmp_path}/report")
    assert done.returncode == 0, done.stderr
    with open(tmp_path / "report" / "record.json") as source:
        given = json.load(source)["attacks"]
    assert given["fgsm"] == {"target": "least_likely"}
    assert given["pgd"]["loss"] == "margin" and given["pgd"]["decay"] == "linear"
    assert "loss margin" in (tmp_path / "report" / "table.md").read_text()
    os.rename(tmp_path / "report" / "table.csv", tmp_path / "report" / "config.json")
    done = evaluate(*flags, f"--output={tmp_path}/report")
    assert done.returncode == 1 and "a workdir of mmtf.run" in done.stderr
    done = evaluate(f"--model={folder}/net.keras", "--attacks=none", "--target=3")
    assert done.returncode == 1 and "takes a target class" in done.stderr
    with hold(str(tmp_path / "taken")):
        done = evaluate(*flags, f"--output={tmp_path}/taken")
    assert done.returncode == 1 and "that no other process uses" in done.stderr


def saved(model, path):
    model.save(path)
    return str(path)


def wrapped(model, before=None, after=None):
    layers = [keras.Input(SHAPE)] + ([before] if before else []) + [model]
    return keras.Sequential(layers + ([after] if after else []))


def test_attacks_in_bfloat16_are_judged_in_float32(trained, tmp_path):
    folder, _ = trained
    flags = ["--attacks=none,pgd", "--eta=0.3", "--max_examples=40", "--pgd_steps=5"]
    own = ["--attack_precision=bfloat16", f"--output={tmp_path}/report"]
    done = evaluate(f"--model={folder}/net.keras", *flags, *own)
    assert done.returncode == 0, done.stderr
    with open(tmp_path / "report" / "record.json") as source:
        record = json.load(source)
    assert record["attack_precision"] == "bfloat16"
    assert "attacks compute in bfloat16" in (tmp_path / "report" / "table.md").read_text()
    errors = {one["attack"]: one["error"] for one in record["cells"]}
    net, served = (trusted(f"{folder}/{path}") for path in NAMES.values())
    plain = payoff.payoff_matrix(
        {"net": net},
        {"none": {}, "pgd": record["attacks"]["pgd"]},
        load_digits(),
        etas=[0.3],
        options=EvalOptions(max_examples=40),
        say=lambda line: None,
    )
    in_float32 = {one.attack: one.wrong.mean() for one in plain.cells}
    assert in_float32["none"] == errors["none"]
    # Other roundings of the gradient: an example at the edge may stand.
    assert abs(in_float32["pgd"] - errors["pgd"]) <= 2 / 40 + 1e-9
    # On any hardware: a SavedModel's types are fixed.
    with pytest.raises(ConfigError, match="Expected a Keras model for attacks in bfloat16"):
        attack_precision("bfloat16", [served])
    assert attack_precision("auto", [served]) == "float32"


def test_a_model_of_other_pixels_is_measured_with_its_bounds(trained, tmp_path):
    """The same net behind a Rescaling of [0, 1]: the same figures, robust accuracy beside them."""
    _, model = trained
    theirs = saved(wrapped(model, before=keras.layers.Rescaling(2.0, -1.0)), tmp_path / "own.keras")
    flags = [f"--model={trained[0]}/net.keras", f"--model={theirs}", "--attacks=none,fgsm"]
    flags += ["--bounds=-1,1", "--bounds=0,1", "--eta=0.1", "--max_examples=40", "--batch_size=25"]
    done = evaluate(*flags, f"--output={tmp_path}/report")
    assert done.returncode == 0, done.stderr
    frame = pd.read_csv(tmp_path / "report" / "table.csv")
    errors = frame.pivot_table(index="attack", columns="defense", values="error")
    assert (errors["net"] - errors["own"]).abs().max() <= 1 / 40 + 1e-9  # at the boundary
    assert np.allclose(frame.robust_accuracy, 1 - frame.error)
    assert "eta 0.1 (eps 12.75/255)" in done.stdout
    told = f"{errors['net']['fgsm']:.4f} ({100 * (1 - errors['net']['fgsm']):.1f} %)"
    assert told in (tmp_path / "report" / "table.md").read_text()
    assert told in done.stdout
    page = (tmp_path / "report" / "report.html").read_text()
    assert f"error {errors['net']['fgsm']:.4f}" in page
    assert f"{100 * (1 - errors['net']['fgsm']):.1f} %" in page
    with open(tmp_path / "report" / "record.json") as source:
        record = json.load(source)
    assert record["bounds"] == {"net": [-1.0, 1.0], "own": [0.0, 1.0]}
    digest = hashlib.sha256(pathlib.Path(theirs).read_bytes()).hexdigest()
    assert record["models"]["own"] == {"path": str(theirs), "sha256": digest}
    assert record["batch_size"] == 25


def test_a_workdir_is_measured_on_what_it_was_trained_on(trained, tmp_path):
    """The run was to play on MNIST and fell back to the digits."""
    _, model = trained
    for name, asked, notice in (("fallen", "mnist", "no MNIST here"), ("other", "cifar10", "")):
        (tmp_path / name).mkdir()
        model.save(tmp_path / name / "classifier.keras")
        (tmp_path / name / "config.json").write_text(json.dumps({"dataset": asked}))
        about = {"dataset": {"name": "digits", "notice": notice}}
        (tmp_path / name / "record.json").write_text(json.dumps(about))
    flags = [f"--model={tmp_path}/fallen", "--attacks=none", "--max_examples=20"]
    done = evaluate(*flags, dataset=None)
    assert done.returncode == 0 and done.stdout.strip().startswith("digits ("), done.stderr
    done = evaluate(*flags, f"--model={tmp_path}/other", dataset=None)
    assert done.returncode == 1
    assert "Expected --dataset, for workdirs of several. Received: 'cifar10, digits'" in done.stderr
    done = evaluate(f"--model={tmp_path}/other", *flags[1:])
    assert f"{tmp_path}/other was trained on cifar10; it is measured on digits." in done.stderr


def test_models_that_do_not_fit_get_one_line(trained, tmp_path):
    _, model = trained
    five = keras.Sequential([keras.Input(SHAPE), keras.layers.Flatten(), keras.layers.Dense(5)])
    raw = wrapped(model, before=keras.layers.Rescaling(1 / 127.5, offset=-1))
    soft = saved(wrapped(model, after=keras.layers.Softmax(axis=0)), tmp_path / "soft.keras")
    cases = {
        saved(five, tmp_path / "five.keras"): "to 10 logits. Received: output shape (5,)",
        soft: "Remove the softmax",
        saved(raw, tmp_path / "raw.keras"): "--bounds=0,255",
        str(tmp_path / "nothing"): "nothing.",
        __file__: "a file of another format",
        str(tmp_path): "a folder without a model",
    }
    for path, message in cases.items():
        with pytest.raises(ConfigError, match=re.escape(message)) as refused:
            validate_classifier(load_classifier(path), load_digits())
        assert "\n" not in str(refused.value)
    assert_refused(evaluate(*flags_of(soft)), cases[soft])


def flags_of(path):
    return f"--model={path}", "--attacks=none", "--max_examples=20"


def assert_refused(done, message):
    assert done.returncode == 1 and message in done.stderr, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr


@pytest.mark.slow  # that TensorFlow says nothing on stderr: test_run.py; the one line: above
def test_a_process_of_its_own_answers_alike(tmp_path):
    done = evaluate_alone(*flags_of(of_two_outputs(tmp_path)))
    assert_refused(done, "--model_output=age")


def of_two_outputs(folder):
    inputs = keras.Input(SHAPE)
    flat = keras.layers.Flatten()(inputs)
    outputs = {"age": keras.layers.Dense(2)(flat), "logits": keras.layers.Dense(10)(flat)}
    return saved(keras.Model(inputs, outputs), folder / "two.keras")


def test_an_output_is_chosen_by_the_flag(tmp_path):
    path = of_two_outputs(tmp_path)
    with pytest.raises(ConfigError, match="2 outputs, .*--model_output=age"):
        validate_classifier(load_classifier(path), load_digits())
    few = ["--attacks=none", "--max_examples=20", "--model_output=logits"]
    done = evaluate(f"--model={path}", *few)
    assert done.returncode == 0, done.stderr


def test_radii_of_further_balls_stay_with_those_they_are_given_with():
    values = flags.FlagValues()
    define_flags(values)
    values(["mmtf.evaluate", "--eta=0.3,0.1", "--eta_l2=3.0,1.0", "--eta_l1=9"])
    others = other_radii(values, radius_order(values))
    found = balls_of(radii(values), "linf", others)
    assert {eta: [ball.eta for ball in balls[1:]] for eta, balls in found.items()} == {
        0.1: [1.0, 9.0],
        0.3: [3.0, 9.0],
    }


@pytest.mark.parametrize(
    "flags, message",
    [
        ([], "at least one --model"),
        (["--model=x", "--model=y", "--model=z", "--model_output=0", "--model_output=1"], "once"),
        (["--model=x", "--eta=0"], "radii --eta > 0"),
        (["--model=x", "--eta=a"], "radii --eta > 0"),
        (["--model=x", "--epsilon=8/0"], "radii --epsilon > 0"),
        (["--model=x", "--epsilon=8/255", "--eta=0.3"], "--eta or --epsilon, one of them"),
        (["--model=x", "--attacks=magic"], "attack to be one of none"),
        (["--model=x", "--attacks="], "Expected a value for --attacks"),
        (["--model=x", "--max_examples=-1"], "max_examples >= 0"),
        (["--model=x", "--eot_samples=0"], "eot_samples > 0"),
        (["--model=x", "--attacks=pgd,pgd"], "--attacks of different names"),
        (["--model=x", "--seed=-1"], "seed in [0, 2^31)"),
        (["--model=x", f"--output={__file__}"], "--output: Expected a folder that can be written"),
        (["--model=x", "--attack_precision=half"], "attack_precision to be one of auto"),
        (["--model=x", "--attacks=fgsm", "--pgd_loss=dlr"], "--pgd_loss with pgd among --attacks"),
        (["--model=x", "--bounds=1,0"], "--bounds=LOW,HIGH with LOW < HIGH"),
        (["--model=x", "--bounds=0"], "--bounds=LOW,HIGH with LOW < HIGH"),
        (["--model=x", "--bounds=0,1", "--bounds=0,1"], "for each of 1 models"),
        (["--model=x", "--batch_size=-1"], "batch_size >= 0"),
        (["--model=x", "--norm=l3"], "norm to be one of linf, l2, l1"),
    ],
)
def test_a_users_mistake_gets_one_line(flags, message):
    done = evaluate(*flags)
    assert done.returncode == 1 and message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_help_is_quick():
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "mmtf.evaluate", "--helpshort"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert "--model" in done.stdout
    assert not re.search(r"\| +(tensorflow|keras)$", done.stderr, re.M)
