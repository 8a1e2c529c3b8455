"""`python -m mmtf.smooth` from flags to files."""

import json
from xml.etree import ElementTree as ET

import keras
import numpy as np
import pandas as pd
import pytest

import mmtf
from mmtf.cli import smooth as command
from mmtf.reports.smoothed import smoothed_lines, smoothed_table
from mmtf.smoothing import measuring

SMALL = ["--dataset=digits", "--sigma=0.5", "--n=300", "--n0=50", "--radii=0.5,1"]
SMALL += ["--max_examples=12", "--attack_steps=3", "--attack_draws=2", "--votes=0"]


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    x, y = mmtf.load_data("digits").train()
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(10)]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-3), loss)
    model.fit(x, y, batch_size=64, epochs=3, verbose=0)
    path = str(tmp_path_factory.mktemp("model") / "net.keras")
    model.save(path)
    return path


@pytest.fixture
def run(in_process):
    return in_process(command)


def rows_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_files_and_resuming(run, model_file, tmp_path, monkeypatch):
    given = [f"--model=net={model_file}", *SMALL]
    status, printed, _ = run(*given, "--output=whole")
    assert status == 0
    assert "(0.25 for pixels in [0, 1])" in printed and "| net | 0.5 | 0.25 |" in printed
    rows, record = (
        rows_of(tmp_path / "whole/images.jsonl"),
        json.loads((tmp_path / "whole/record.json").read_text()),
    )
    assert [row["index"] for row in rows] == list(range(12))
    entry = record["models"][0]
    for point in entry["points"]:
        good = [r["certified"] == r["label"] and r["radius"] >= point["radius"] for r in rows]
        assert point["certified"]["value"] == np.mean(good)
        low, high = point["certified"]["ci_low"], point["certified"]["ci_high"]
        assert low <= np.mean(good) <= high
        # A bracket: what is proved is at most what no attack broke.
        assert point["certified"]["value"] <= point["attacked"]["value"]
    assert entry["predicted"]["value"] == np.mean([r["predicted"] == r["label"] for r in rows])
    assert entry["points"][0]["certified"]["value"] > 0.5
    assert entry["contradictions"] == 0
    table = pd.read_csv(tmp_path / "whole/table.csv")
    assert table["radius_01"].tolist() == [0, 0.25, 0.5]
    assert (tmp_path / "whole/curve.png").stat().st_size > 10_000
    assert list((tmp_path / "whole/logs/net").glob("events*"))

    counted, original = [], measuring.counts

    def counting(*arguments, **options):
        counted.append(options["indices"][0])
        if len(counted) == 10:
            raise KeyboardInterrupt(15)
        return original(*arguments, **options)

    monkeypatch.setattr(measuring, "counts", counting)
    status, printed, _ = run(*given, "--output=stopped")
    assert status == 128 + 15 and "goes on from them" in printed
    status, _, _ = run(*given, "--output=stopped")
    assert status == 0
    assert counted[10:12] == [4, 4]  # images 0 to 3 were finished, with two counts each
    assert rows_of(tmp_path / "stopped/images.jsonl") == rows
    before = len(counted)
    status, _, _ = run(*given, "--output=stopped", "--alpha=0.01")
    assert status == 0 and len(counted) == before  # counts do not depend on alpha


def test_sigma_is_that_of_the_training(run, model_file, tmp_path):
    workdir = tmp_path / "runs/gaussian"
    game = ["--dataset=digits", "--game=smooth_gaussian", "--sigma=0.7", "--net=strided_cnn"]
    from commands import call

    done = call(
        "mmtf.run",
        *game,
        "--steps=2",
        "--norm=l2",
        "--attacks=none",
        "--max_examples=4",
        f"--workdir={workdir}",
    )
    assert done.returncode == 0, done.stderr
    assert json.loads((workdir / "config.json").read_text())["game_options"] == {
        "sigma": 0.7,
        "draws": 1,
    }
    status, printed, _ = run(
        f"--model={workdir}", "--n=20", "--max_examples=2", "--attack_steps=0", "--radii=1"
    )
    assert status == 0 and "noise of deviation 0.7 for pixels in [-1, 1]" in printed


def test_standardized_images_have_one_scale(run, model_file, tmp_path):
    given = [f"--model={model_file}", "--sigma=1", "--n=20", "--max_examples=2", "--radii=1"]
    status, printed, _ = run(*given, "--attack_steps=0", "--preprocess=per_image", "--output=one")
    assert status == 0 and "for standardized images" in printed and "[0, 1]" not in printed
    share = {"value": 0.9, "ci_low": 0.8, "ci_high": 1.0}
    one = {"defense": "net", "sigma": 1.0, "sigma_01": 0.5, "draws": 20, "vote": share, "n": 2}
    one |= {"selection_draws": 10, "alpha": 0.1, "vote_abstains": 0.0, "abstains": 0.0}
    one |= {"average_radius": 1.0, "largest_radius": 2.0}
    one["radii"] = [{"eta": 1.0, "radius": 1.0, "certified": share}]
    record = {"smoothed": [one], "preprocess": "standardize_per_image"}
    told = smoothed_lines(record)[0] + ET.tostring(smoothed_table(record), "unicode")
    assert "standardized images" in told and "[0, 1]" not in told


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "at least one --model"),
        (["--model=MODEL"], "--sigma for"),
        (["--model=MODEL", "--sigma=0"], "sigma > 0"),
        (["--model=MODEL", "--sigma=1", "--alpha=1"], "0 < alpha < 1"),
        (["--model=MODEL", "--sigma=1", "--radii=a"], "--radii of numbers"),
        (["--model=MODEL", "--sigma=1", "--radii=2,1"], "radii, ascending"),
        (["--model=MODEL", "--sigma=1", "--radii=-1"], "radii > 0"),
        (["--model=nothing.keras", "--sigma=1"], "nothing.keras, nothing"),
        (["--model=MODEL", "--model=MODEL", "--sigma=1"], "models of different names"),
        (["--model=MODEL", "--sigma=1", "--output=taken"], "holds another record.json"),
    ],
)
def test_mistakes_are_told_in_one_line(run, model_file, tmp_path, arguments, message):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken/record.json").write_text("mine")
    status, _, said = run(*(one.replace("MODEL", model_file) for one in arguments))
    assert status == 1
    assert message in said and said.count("\n") == 1
    assert (tmp_path / "taken/record.json").read_text() == "mine"
