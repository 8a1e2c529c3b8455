"""`python -m mmtf.magnet` from flags to files, and what loads them."""

import json

import numpy as np
import pytest
import tensorflow as tf

import mmtf
from mmtf.classifiers.loading import load_classifier
from mmtf.cli import magnet as command

BRIEF = ["--dataset=digits", "--classifier_steps=30", "--autoencoder_steps=20", "--held_out=200"]
BRIEF += ["--max_examples=20", "--pgd_steps=3", "--pgd_restarts=1", "--selective_steps=4"]
BRIEF += ["--pack=2", "--pack_steps=3", "--pack_attack_steps=3"]


@pytest.fixture
def run(in_process):
    return in_process(command)


@pytest.mark.slow
def test_files_and_resuming(run, tmp_path):
    status, printed, said = run(*BRIEF, "--output=out")
    assert status == 0, said
    record = json.loads((tmp_path / "out/record.json").read_text())
    cells = {(one["defense"], one["attack"]): one for one in record["cells"]}
    for name in ("none", "fgsm@classifier", "pgd@classifier", "fgsm", "pgd", "selective", "worst"):
        cell = cells["magnet", name]
        assert cell["error"] <= cell["reject_wrong"] <= cell["error"] + cell["rejected"] + 1e-9
        assert cell["reject_wrong_low"] <= cell["reject_wrong"] <= cell["reject_wrong_high"]
        assert cell["n"] == 20
    assert "rejected" not in cells["classifier", "pgd"]
    assert ("pack", "selective@attacker") in cells
    positives = record["false_positives"]
    assert positives["target"] == 0.002 and positives["all"]["n"] == 360
    assert "False positives: " in printed and "| magnet | selective (adaptive) |" in printed
    assert all(0 < one["threshold"] < 1 for one in record["detectors"])
    _, again, _ = run(*BRIEF, "--output=out")
    assert again.split("\n\n")[1] == printed.split("\n\n")[1]

    loaded = load_classifier(str(tmp_path / "out"))
    x, _ = mmtf.load_data("digits").test(10)
    served = tf.saved_model.load(str(tmp_path / "out/guarded")).signatures["logits"]
    found = served(images=tf.constant(x))
    np.testing.assert_array_equal(found["accepted"], loaded.accepts(tf.constant(x)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--recipe=other"], "recipe to be one of mnist, cifar10"),
        (["--held_out=5000"], "0 < count <"),
        (["--beside=magnet=x.keras"], "models of different names"),
        (["--model=nothing.keras"], "--classifier_steps with a classifier that is trained"),
        (["--pack=0", "--pack_steps=5"], "--pack_steps with --pack > 0"),
        (["--eta=0"], "eta > 0"),
        (["--eta=0.3", "--epsilon=0.15"], "--eta or --epsilon, one of them"),
        (["--output=taken"], "holds another record.json"),
    ],
)
def test_mistakes_are_told_in_one_line(run, tmp_path, arguments, message):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken/record.json").write_text("mine")
    status, _, said = run(*BRIEF, *arguments)
    assert status == 1
    assert message in said and said.strip().count("\n") == 0
    assert (tmp_path / "taken/record.json").read_text() == "mine"
