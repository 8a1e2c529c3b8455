"""The benchmark: its parts on a small run, and the tables in the docs against its record."""

import importlib.util
import json
import pathlib

import numpy as np
import pytest

from mmtf.solvers.surfaces import SURFACES

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location(
        "benchmark_of_solvers", ROOT / "benchmarks" / "solvers.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_docs_are_rendered_from_the_record(benchmark):
    record = json.loads(benchmark.RECORD.read_text())
    text = benchmark.DOCS.read_text()
    assert benchmark.page(text, record) == text


def test_every_surface_is_solved_by_some_rule_at_a_maximizing_v(benchmark):
    record = json.loads(benchmark.RECORD.read_text())
    for surface in SURFACES:
        cells = [c for c in record["cells"] if c["surface"] == surface]
        assert min(c["mean"] + c["v_gap"] for c in cells) < 0.01


def test_reported_starts_are_not_those_of_the_tuning(benchmark):
    assert len({benchmark.TUNING_SEED, benchmark.REPORT_SEED, benchmark.FIGURE_SEED}) == 3


def test_a_small_run(benchmark, monkeypatch):
    monkeypatch.setattr(benchmark, "TUNING_STARTS", 2)
    rates = {"u_rate": [0.01, 0.1], "v_rate": [0.1], "schedule": ["constant", "cosine"]}
    cells = benchmark.measure("alternating", starts=3, steps=200, rates=rates)
    assert len(cells) == 2 * len(SURFACES)
    for cell in cells:
        assert cell["setting"]["u_rate"] in rates["u_rate"]
        assert 0 <= cell["mean"] <= 1 and 0 <= cell["solved"] <= 1
    assert cells[0]["surface"] == "saddle" and cells[0]["mean"] < 1e-3


def test_choose_prefers_solved_surfaces_then_the_mean(benchmark):
    means = np.array([[0.001, 0.5], [0.02, 0.02], [0.005, 0.3]])
    assert benchmark.choose(means) == (2, [0, 1])
