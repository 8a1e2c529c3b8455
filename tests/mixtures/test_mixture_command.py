"""`python -m mmtf.mixture` from flags to files."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import mmtf
from mmtf.classifiers.loading import load_classifier
from mmtf.cli import mixture as command

TINY = ["--dataset=digits", "--selection=60", "--max_examples=40", "--pgd_steps=2"]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Flags of two nets, of which the second sees images of half the contrast."""
    x, y = mmtf.load_data("digits").train()
    folder, given = tmp_path_factory.mktemp("models"), []
    for name, scale in (("plain", 1.0), ("faint", 0.5)):
        keras.utils.set_random_seed(0)
        layers = [keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(10)]
        model = keras.Sequential(layers)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(1e-3), loss)
        model.fit(scale * x, y, batch_size=128, epochs=2, verbose=0)
        model.save(folder / f"{name}.keras")
        given.append(f"--model={name}={folder / f'{name}.keras'}")
    return given


@pytest.fixture
def run(in_process):
    return in_process(command)


def test_what_is_written(run, models, tmp_path):
    given = ["--attacks=none,fgsm@*", "--adaptive", "--adaptive_steps=2", "--alpha=0.5"]
    status, printed, said = run(*models, *TINY, *given, "--output=out")
    assert status == 0, said
    assert "may have seen the held-out images" in said
    record = json.loads((tmp_path / "out/record.json").read_text())
    assert record["test"]["attacks"] == ["none", "fgsm@plain", "fgsm@faint"]
    with np.load(tmp_path / "out/errors.npz") as kept:
        np.testing.assert_allclose(kept["test"].mean(-1), record["test"]["errors"])
        held, clean = kept["selection"].mean(-1), kept["selection_clean"].mean(-1)
        wrong = kept["test"]
    assert wrong.shape == (2, 3, 40)
    known = {one["strategy"]: one for one in record["strategies"]}
    assert list(known)[:4] == ["best pure net", "uniform", "optimal", "per-image optimal"]
    # With two nets the optimum is at a corner or where two attacks are equal: a fine grid finds it.
    grid = np.linspace(0, 1, 10_001)
    mixes = np.stack([grid, 1 - grid], 1)
    values = 0.5 * mixes @ clean + 0.5 * (mixes @ held).max(-1)
    assert known["optimal"]["selection"]["table"] == pytest.approx(values.min(), abs=1e-4)
    for one in known.values():
        test, p = one["test"], np.array([one["p"].get(name, 0.0) for name in ("plain", "faint")])
        assert test["table"]["error"] == pytest.approx((p @ wrong.mean(-1)).max())
        worst = np.tensordot(p, wrong.astype(float), 1).max(0).mean()
        assert test["per_image"]["error"] == pytest.approx(worst)
        assert test["table"]["error"] <= test["per_image"]["error"] <= test["either"]["error"]
        gain = test["adaptive"]["error"] - test["table"]["error"]
        assert test["exploitability"] == pytest.approx(gain)
    assert [one["alpha"] for one in record["bayesian"]] == [0.0, 0.01, 0.1, 0.5, 1.0]
    assert (tmp_path / "out/table.md").read_text() in f"{printed}\n"
    served = tf.saved_model.load(str(tmp_path / "out/mixture")).signatures["serving_default"]
    assert served(images=tf.zeros([3, 28, 28, 1], tf.uint8))["label"].shape == (3,)
    logits = load_classifier(str(tmp_path / "out/mixture"), trust_saved_models=True)
    assert logits(tf.zeros([3, 28, 28, 1])).shape == (3, 10)


@pytest.mark.slow
def test_nets_are_trained_grown_and_kept(run, tmp_path):
    given = [*TINY, "--train=undefended,lwa", "--net=strided_cnn", "--steps=20", "--attacks=fgsm@*"]
    given += ["--grow=1", "--gap=0", "--defender_steps=2", "--attacker_steps=2"]
    given += ["--attacker_net=mlp", "--output=out"]
    status, _, said = run(*given)
    assert status == 0, said
    first = json.loads((tmp_path / "out/record.json").read_text())
    grown = first["grown"]
    assert grown["defenses"] == ["undefended", "lwa", "defense1"]
    assert grown["attacks"] == ["fgsm@undefended", "pgd@undefended", "attnet1", "pgd1"]
    assert np.shape(grown["errors"]) == (3, 4)
    one = grown["rounds"][0]
    assert one["lower"] <= one["value"] <= one["upper"]
    nets = sorted((tmp_path / "out/cells").glob("net-*.keras"))
    times = [path.stat().st_mtime_ns for path in nets]
    assert len(nets) == 3
    status, _, said = run(*given)
    assert status == 0 and [path.stat().st_mtime_ns for path in nets] == times
    second = json.loads((tmp_path / "out/record.json").read_text())
    assert second["grown"]["errors"] == grown["errors"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "at least one --model or --train"),
        (["--train=lwa", "--attacks=pgd"], "not a simultaneous strategy"),
        (["--train=lwa", "--attacks=pgd@other"], "other"),
        (["--train=nothing"], "nothing"),
        (["--train=lwa", "--alpha=2"], "alpha"),
        (["--train=lwa", "--adaptive_steps=2"], "--adaptive_steps with --adaptive"),
        (["--train=lwa", "--gap=0.1"], "--gap with --grow"),
        (["--train=lwa", "--grow=1", "--alpha=0.1"], "--grow with --alpha=1"),
        (["--train=lwa", "--epsilon=8/255", "--dataset=cifar10"], "only scaled (--preprocess=box)"),
        (["--train=lwa", "--eta=0"], "eta"),
        (["--train=lwa", "--eta=0.1", "--epsilon=0.1"], "--eta or --epsilon"),
        (["--train=lwa", "--grow=1", "--grow_from=other"], "--grow_from"),
        (["--train=lwa", "--output=taken"], "holds another record.json"),
    ],
)
def test_mistakes_are_told_in_one_line(run, tmp_path, arguments, message):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken/record.json").write_text("mine")
    status, _, said = run(*arguments)
    assert status == 1
    assert message in said and said.count("\n") == 1
    assert (tmp_path / "taken/record.json").read_text() == "mine"


def test_a_single_net_is_held_to_the_same_alpha(run, models, tmp_path):
    given = ["--attacks=fgsm@*", "--alpha=0.5", "--output=out"]
    status, _, said = run(*models, *TINY, *given)
    assert status == 0, said
    record = json.loads((tmp_path / "out/record.json").read_text())
    known = {one["strategy"]: one for one in record["strategies"]}
    pure = known["best pure net"]
    name = max(pure["p"], key=pure["p"].get)
    assert known[name]["selection"]["table"] == pytest.approx(pure["selection"]["table"])
