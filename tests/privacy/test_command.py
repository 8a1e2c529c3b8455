"""`python -m mmtf.privacy` from flags to files."""

import json

import numpy as np
import pytest
import tensorflow as tf
from sklearn.linear_model import LogisticRegression

from mmtf.cli import privacy as command
from mmtf.privacy import attackers
from tests.privacy.gaussians import gaussians


@pytest.fixture
def run(in_process):
    return in_process(command)


def save(path, data):
    parts = [f"{k}_{part}" for part in ("train", "test") for k in ("x", "target", "private")]
    np.savez(path, **{name: getattr(data, name)[:400] for name in parts})


def test_files_and_resuming(run, tmp_path, monkeypatch):
    # One value of the hyperparameter: 30 cells of cross-validations take longer than all the rest.
    model = LogisticRegression(max_iter=500)
    monkeypatch.setitem(attackers.ATTACKERS, "softmax", lambda seed: (model, {"C": [1.0]}))
    save(tmp_path / "two.npz", gaussians((1.5, 0.0), (0.0, 2.0)))
    asked = [
        "--data=two.npz",
        "--dimensions=1",
        "--steps=50",
        "--attackers=softmax",
        "--curve=1,10",
        "--seeds=0,1",
        "--output=out",
    ]
    status, printed, said = run(*asked)
    assert status == 0
    assert "| minimax linear, rho 1 |" in printed
    assert "[30/30]" in said
    record = json.loads((tmp_path / "out/record.json").read_text())
    rows = {row["method"]: row for row in record["rows"]}
    assert rows["erasure + LDA"]["target"] > 0.85
    assert rows["minimax linear, rho 10"]["seeds"] == 2
    assert (tmp_path / "out/curve.png").stat().st_size > 10_000
    served = tf.saved_model.load(str(tmp_path / "out/filter")).signatures["serving_default"]
    z = served(x=tf.constant(np.random.default_rng(0).normal(size=(5, 2)), tf.float32))["z"]
    assert z.shape == (5, 1)
    weights = tmp_path / "out/filter/variables/variables.data-00000-of-00001"
    before = weights.read_bytes()
    weights.write_bytes(b"damaged")
    status, again, _ = run(*asked)
    assert status == 0
    assert again.splitlines()[:20] == printed.splitlines()[:20]
    assert weights.read_bytes() == before  # exported again from the checkpoint


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--rho=0", "--rho and --curve > 0"),
        ("--curve=a", "--curve of numbers"),
        ("--seeds=", "--seeds of whole numbers"),
        ("--seeds=1,1", "different seeds"),
        ("--curve=1,1", "different methods"),
        ("--attackers=svm,svm", "attackers of different names"),
        ("--filter=cubic", "--filter to be one of linear, network, conv"),
        ("--solver=newton", "--solver to be one of"),
        ("--order=both", "--order to be one of"),
        ("--attackers=human", "attackers to be one of"),
        ("--data=nothing.npz", "an existing file"),
        ("--data=tfds:mnist", "--target=FEATURE"),
        ("--dimensions=65", "dimensions from 1 to 64"),
        ("--batch_size=-1", "batch_size > 0"),
    ],
)
def test_a_wrong_flag_is_one_line(run, argument, message):
    status, _, said = run(argument, "--nobaselines")
    assert status == 1
    assert message in said
    assert said.startswith("mmtf.privacy: Expected")
    assert said.count("\n") == 1
