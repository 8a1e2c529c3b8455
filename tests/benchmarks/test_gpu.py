"""The GPU benchmark tried without one: its command on the digits, and its table."""

import json
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest
import tensorflow as tf

from benchmarks import gpu as benchmark
from scripts.performance import gpu

ROOT = Path(__file__).resolve().parents[2]


def command(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1"},
    )


def test_without_a_gpu_it_says_so(monkeypatch, capsys):
    monkeypatch.setattr(benchmark, "FLAGS", types.SimpleNamespace(device="gpu", only="first"))
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    assert benchmark.main(["gpu"]) == 1
    said = capsys.readouterr().err
    assert "Expected a GPU that TensorFlow sees" in said and said.count("\n") == 1


def test_a_trial_without_a_gpu_does_not_replace_the_committed_record(monkeypatch, capsys):
    monkeypatch.setattr(benchmark, "FLAGS", types.SimpleNamespace(device="cpu", output=None))
    assert benchmark.main(["gpu"]) == 1
    assert "Expected --output with --device=cpu" in capsys.readouterr().err


@pytest.mark.slow
def test_the_command_measures(tmp_path):
    output = tmp_path / "record.json"
    tiny = ["--dataset=digits", "--steps=2", "--blocks=1", "--paper_steps=30", "--matmul=1024"]
    done = command("--device=cpu", "--batches=8,16", f"--output={output}", *tiny)
    assert done.returncode == 0, done.stderr
    record = json.loads(output.read_text())
    assert len(record["rows"]) == 2 * 2 * (2 + 1)
    assert {row["batch"] for row in record["rows"] if not row["xla"]} == {8}
    assert all(row["steps_per_second"] > 0 and 0 < row["of_peak"] < 1 for row in record["rows"])
    assert record["first"]["steps"] == record["paper"]["steps"] == 30
    assert record["paper"]["seconds"] > 30 / record["paper"]["steps_per_second"]
    assert record["paper"]["errors"]["none"]["n"] > 100
    assert not any(one.startswith("--only") for one in record["command"])
    text = gpu.section(record)
    assert "| minimax_grad | bfloat16 | XLA | 16 |" in text and "30 Minimax-Grad steps" in text
    assert "s of them for tracing and compilation" in text
    del record["rows"]
    assert "30 Minimax-Grad steps" in gpu.section(record)
    record["commit"] = "another"
    output.write_text(json.dumps(record))
    done = command("--device=cpu", "--only=rows", f"--output={output}", *tiny)
    assert done.returncode != 0 and "Expected a record with commit" in done.stderr
    assert json.loads(output.read_text()) == record
