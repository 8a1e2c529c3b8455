"""The columns `smoothed_vote` and `smoothed` of `python -m mmtf.evaluate`."""

import json

import keras
import numpy as np
import pandas as pd
import pytest
from commands import call

import mmtf
from mmtf import smoothing
from mmtf.errors import ConfigError
from mmtf.reports import write_html
from mmtf.smoothing import measuring
from mmtf.smoothing.columns import l2_radii

SMALL = ["--dataset=digits", "--attacks=none,fgm,smoothed", "--max_examples=12", "--norm=l2"]
SMALL += ["--eta=0.5,1", "--sigma=0.5", "--certificate_draws=300", "--selection_draws=50"]

pytestmark = pytest.mark.usefixtures("few_checks")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A linear classifier of the digits and its file."""
    x, y = mmtf.load_data("digits").train()
    keras.utils.set_random_seed(0)
    net = keras.Sequential(
        [keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(10)]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    net.compile(keras.optimizers.Adam(1e-3), loss)
    net.fit(x, y, batch_size=64, epochs=3, verbose=0)
    path = str(tmp_path_factory.mktemp("model") / "net.keras")
    net.save(path)
    return net, path


def test_the_columns_are_those_of_the_smoothed_model(model, tmp_path, monkeypatch):
    net, path = model
    given = [f"--model=net={path}", *SMALL, "--output=report"]
    done = call("mmtf.evaluate", *given, cwd=str(tmp_path))
    assert done.returncode == 0, done.stderr
    report = tmp_path / "report"
    record = json.loads((report / "record.json").read_text())
    names = ["none", "fgm", "worst", "smoothed_vote", "smoothed"]
    assert [(one["attack"], one["eta"]) for one in record["cells"]] == [
        (name, eta) for eta in (0.5, 1.0) for name in names
    ]
    # The same draws as in Python: the errors are those of certify and of predict.
    x, y = mmtf.load_data("digits").test(12)
    certified = smoothing.certify(net, x, sigma=0.5, n=300, n0=50)
    vote = smoothing.predict(net, x, sigma=0.5, n=300)
    errors = {(one["attack"], one["eta"]): one["error"] for one in record["cells"]}
    for eta in (0.5, 1.0):
        assert errors["smoothed", eta] == np.mean(~certified.correct(y, eta))
        assert errors["smoothed_vote", eta] == np.mean(vote != y)
    assert 0 < errors["smoothed", 0.5] < errors["smoothed", 1.0]
    entry = record["smoothed"][0]
    assert (entry["sigma"], entry["draws"], entry["selection_draws"]) == (0.5, 300, 50)
    assert entry["vote_abstains"] == np.mean(vote == smoothing.ABSTAIN)
    assert entry["abstains"] == np.mean(certified.label == smoothing.ABSTAIN)
    assert [one["certified"]["value"] for one in entry["radii"]] == [
        certified.correct(y, eta).mean() for eta in (0.5, 1.0)
    ]
    with np.load(report / "examples.npz") as kept:
        np.testing.assert_allclose(kept["net/smoothed/radius"], certified.radius)
        np.testing.assert_array_equal(kept["net/smoothed/vote"], vote)
        np.testing.assert_array_equal(kept["net/smoothed/1.0/wrong"], ~certified.correct(y, 1.0))
    told = "smoothed_vote and smoothed are about this model g"
    for text in (done.stdout, (report / "table.md").read_text()):
        assert told in text and "smoothed <=" in text and "worst >=" not in text
    page = (report / "report.html").read_text()
    assert "How robust are the smoothed models?" in page and "strongest attack is fgm" in page
    write_html(str(report / "record.json"), str(tmp_path / "again.html"))
    assert "Smoothed models" in (tmp_path / "again.html").read_text()
    frame = pd.read_csv(report / "table.csv")
    assert not frame[frame.attack.str.startswith("smoothed")].in_doubt.any()

    def counting(*arguments, **options):
        raise AssertionError("drawn again")

    monkeypatch.setattr(measuring, "counts", counting)  # all is in the cache
    again = call("mmtf.evaluate", *given, "--alpha=0.01", cwd=str(tmp_path))
    assert again.returncode == 0, again.stderr
    assert json.loads((report / "record.json").read_text())["smoothed"][0]["alpha"] == 0.01


def test_radii_of_a_union_are_its_l2_balls():
    assert l2_radii([1.0, 2.0], "l2") == {1.0: 1.0, 2.0: 2.0}
    assert l2_radii([0.1, 0.3], "linf", {"l1": [5.0], "l2": [2.0]}) == {0.1: 2.0, 0.3: 2.0}
    with pytest.raises(ConfigError, match="l2 radii for smoothed"):
        l2_radii([0.3], "linf", {"l1": [5.0]})


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--attacks=none,smoothed", "--sigma=1"], "--norm=l2"),
        (["--attacks=none", "--sigma=1"], "--sigma with smoothed among --attacks"),
        (["--attacks=smoothed", "--norm=l2", "--sigma=0"], "sigma > 0"),
        (["--attacks=smoothed", "--norm=l2", "--sigma=1", "--alpha=1"], "alpha < 1"),
        (["--attacks=none,smoothed", "--norm=l2"], "not a workdir of a game with noise"),
    ],
)
def test_mistakes_are_told_in_one_line(model, flags, message):
    done = call("mmtf.evaluate", f"--model=net={model[1]}", "--dataset=digits", *flags)
    assert done.returncode == 1
    assert message in done.stderr and done.stderr.count("\n") == 1
