"""The clock of the benchmark, its verdict, and its command on the digits."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks import records, time_to_robust
from mmtf.errors import ConfigError
from scripts.performance import robust

ROOT = Path(__file__).resolve().parents[2]


def test_the_clock_stands_still_while_errors_are_measured():
    clock = time_to_robust.Clock()
    with clock.stopped():
        time.sleep(0.2)
    assert 0 <= clock.seconds < 0.1


@pytest.mark.parametrize(
    "clean, fgsm, met", [(0.008, 0.036, True), (0.0081, 0.03, False), (0.007, 0.037, False)]
)
def test_both_targets_count(clean, fgsm, met):
    assert time_to_robust.met({"clean": clean, "fgsm": fgsm}) is met


def test_a_record_goes_on_only_on_its_own_machine_commit_and_job(tmp_path):
    path, about = tmp_path / "record.json", {"dataset": "mnist", "commit": "abc"}
    assert records.begin(str(path), about) == {**about, "runs": []}
    path.write_text(json.dumps({**about, "runs": [1]}))
    assert records.begin(str(path), about)["runs"] == [1]
    with pytest.raises(ConfigError, match="commit def .* Received: abc"):
        records.begin(str(path), {**about, "commit": "def"})


@pytest.mark.slow
def test_the_command_measures_and_goes_on(tmp_path):
    output = tmp_path / "record.json"
    command = [sys.executable, "-m", "benchmarks.time_to_robust", "--dataset=digits"]
    command += ["--who=mmtf,mmtf_all,mmtf_fused", "--seeds=3", "--steps=8", f"--output={output}"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    run, of_all, fused = json.loads(output.read_text())["runs"]
    games = [one["config"]["game_options"] for one in (run, of_all, fused)]
    assert [one["penalty"] for one in games] == ["nested", "nested", "fused"]
    assert [one.get("penalty_every", 1) for one in games] == [2, 1, 1]
    assert run["pgd"]["n"] > 0 and run["pgd"]["error"] >= run["points"][-1]["clean"]
    assert [point["step"] for point in run["points"]] == list(range(9))
    seconds = [point["seconds"] for point in run["points"]]
    assert seconds == sorted(seconds) and seconds[-1] <= run["seconds"] + 1
    assert run["met"] is False and run["points"][-1]["clean"] > 0.008
    again = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    assert "seed 3" not in again.stdout
    text = robust.section(json.loads(output.read_text()))
    start = f"| mmtf, minimax_grad, penalty on one example in 2 | {run['precision']} | 3 | 8 | "
    assert text.splitlines()[2].startswith(start)
    assert text.splitlines()[2].endswith(f"| {run['pgd']['error']:.3f} |")
    assert "--penalty=fused, penalty on all examples |" in text
