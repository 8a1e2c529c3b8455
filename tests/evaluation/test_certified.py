"""`certified` beside attacks: brackets of a matrix, their cache, and `python -m mmtf.evaluate`."""

import json

import keras
import numpy as np
import pytest
from absl import flags
from commands import call

import mmtf
from mmtf.cli.evaluate_flags import attack_names, certifies, define_flags
from mmtf.errors import ConfigError
from mmtf.evaluation import certified
from mmtf.evaluation.certified import Certification, with_certificates
from mmtf.evaluation.options import EvalOptions
from mmtf.evaluation.payoff import payoff_matrix
from mmtf.evaluation.report import evaluation_record, evaluation_text, write_report
from mmtf.reports.page import evaluation_html

L = keras.layers
CHEAP = Certification(verifiers=("ibp", "crown_ibp"))


@pytest.fixture(scope="module")
def net():
    """A small net of digits after a few steps; it sees 4x4 pixels."""
    data = mmtf.load_data("digits")
    keras.utils.set_random_seed(0)
    layers = [L.AveragePooling2D(7), L.Flatten(), L.Dense(16, activation="relu"), L.Dense(10)]
    model = keras.Sequential([keras.Input((28, 28, 1)), *layers])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(3e-2), loss)
    x, y = data.train()
    model.fit(x, y, batch_size=128, epochs=4, verbose=0)
    return model, data


def measured(net, folder, etas=(0.05, 0.2)):
    """The matrix with certificates, and the lines that were said."""
    model, data = net
    options, lines = EvalOptions(max_examples=30, checks=False, cache_dir=folder), []
    matrix = payoff_matrix(
        {"net": model}, {"none": {}, "fgsm": {}}, data, etas=list(etas), options=options, say=str
    )
    graphs = CHEAP.graphs({"net": model}, etas, "linf")
    settings = {"etas": etas, "norm": "linf", "options": options, "say": lines.append}
    return with_certificates(matrix, graphs, data, CHEAP, **settings), lines


def test_a_matrix_gets_a_cell_for_each_radius(net, tmp_path, monkeypatch):
    matrix, lines = measured(net, str(tmp_path))
    assert [(one.attack, one.eta) for one in matrix.cells] == [
        *[(name, 0.05) for name in ("none", "fgsm", "worst", "certified")],
        *[(name, 0.2) for name in ("none", "fgsm", "worst", "certified")],
    ]
    cells = {(one.attack, one.eta): one for one in matrix.cells}
    for eta in (0.05, 0.2):
        # Every image that an attack breaks is among those that are not certified.
        assert (cells["worst", eta].wrong <= cells["certified", eta].wrong).all()
        one = matrix.certificates["net", eta]
        np.testing.assert_array_equal(one.status != "certified", cells["certified", eta].wrong)
        np.testing.assert_array_equal(
            np.isin(one.status, ["wrong", "broken"]), cells["worst", eta].wrong
        )
    errors = [cells["certified", eta].error for eta in (0.05, 0.2)]
    assert errors[0] < errors[1] and errors[0] < 1.0
    assert len(lines) == 2 and lines[0].startswith("net  eta 0.05  certified: clean ")

    def again(*arguments, **options):
        raise AssertionError("computed again")

    monkeypatch.setattr(certified, "certify", again)  # all is in the cache
    kept, _ = measured(net, str(tmp_path))
    for key, one in matrix.certificates.items():
        for name in ("status", "stage", "margin", "seconds"):
            np.testing.assert_array_equal(getattr(kept.certificates[key], name), getattr(one, name))
        assert kept.certificates[key].required == one.required


def test_reports_show_the_bracket(net, tmp_path):
    model, data = net
    matrix, _ = measured(net, None)
    record = evaluation_record(
        matrix,
        data,
        {"norm": "linf", "etas": [0.05, 0.2], "seed": 0, "attacks": {}, "eot_samples": 1},
    )
    text, page = evaluation_text(record), evaluation_html(record)
    one = matrix.certificates["net", 0.2]
    bracket = f"between {one.attacked_error:.1%} and {one.certified_error:.1%}".replace("%", " %")
    assert bracket in text and "worst >=" in text and "certified <=" in text
    assert "Bracket around the worst-case error" in page and "strongest attack is fgsm" in page
    entry = record["certified"][1]
    assert (entry["worst"], entry["certified"]) == (one.attacked_error, one.certified_error)
    write_report(str(tmp_path), record, matrix, data, {"net": model})
    with np.load(tmp_path / "examples.npz") as kept:
        np.testing.assert_array_equal(kept["net/certified/0.2/status"], one.status)
        np.testing.assert_array_equal(kept["net/certified/0.2/margin"], one.margin)
    assert "certified <=" in (tmp_path / "table.md").read_text()
    assert json.loads((tmp_path / "record.json").read_text())["certified"] == record["certified"]


def test_without_certificates_reports_are_as_before(net):
    model, data = net
    matrix = payoff_matrix(
        {"net": model},
        {"none": {}},
        data,
        etas=[0.1],
        options=EvalOptions(max_examples=10, checks=False),
        say=str,
    )
    record = evaluation_record(
        matrix, data, {"norm": "linf", "etas": [0.1], "seed": 0, "attacks": {}, "eot_samples": 1}
    )
    assert "certified" not in record and "Bracket" not in evaluation_html(record)
    assert "worst >=" not in evaluation_text(record)


def test_what_cannot_be_certified_shows_before_anything_is_measured():
    model = keras.Sequential([keras.Input((4,)), L.LayerNormalization(name="ln"), L.Dense(2)])
    with pytest.raises(ConfigError, match="net: Expected layers .* LayerNormalization 'ln'"):
        CHEAP.graphs({"net": model}, [0.1], "linf")
    linear = keras.Sequential([keras.Input((4,)), L.Dense(2)])
    with pytest.raises(ConfigError, match="net: Expected a linf or l1 ball for milp"):
        Certification(verifiers=("milp",)).graphs({"net": linear}, [0.1], "l2")
    with pytest.raises(ConfigError, match="verifiers as a list"):
        Certification(verifiers="ibp").graphs({"net": linear}, [0.1], "linf")


def parsed(*given):
    values = flags.FlagValues()
    define_flags(values)
    values(["evaluate", "--model=x", *given])
    return values


def test_flags():
    values = parsed("--attacks=pgd,certified", "--verifiers=ibp,milp", "--seconds_per_image=2")
    assert certifies(values) and attack_names(values) == ["pgd"]
    assert attack_names(parsed("--attacks=certified")) == ["none"]
    assert not certifies(parsed())
    for given, message in (
        (["--verifiers=ibp"], "--verifiers with certified among --attacks"),
        (["--seconds_per_image=1"], "--seconds_per_image with certified among --attacks"),
        (["--attacks=certified", "--verifiers=exact"], "verifier to be one of ibp"),
        (["--attacks=certified", "--verifiers=ibp,ibp"], "--verifiers of different names"),
        (["--attacks=certified", "--seconds_per_image=0"], "seconds_per_image > 0"),
    ):
        with pytest.raises(ConfigError, match=message):
            attack_names(parsed(*given))


def test_the_command_prints_the_bracket(net, tmp_path):
    model, _ = net
    model.save(tmp_path / "net.keras")
    done = call(
        *("mmtf.evaluate", f"--model=net={tmp_path}/net.keras", "--attacks=none,certified"),
        *("--eta=0.05", "--verifiers=ibp", "--dataset=digits", "--max_examples=10"),
    )
    assert done.returncode == 0, done.stderr
    assert "net: worst-case error between" in done.stdout and "certified <=" in done.stdout
