"""The comparison of a step of fit with one of mmtf.run, on the digits."""

import types

import pytest

from benchmarks import fit_step
from mmtf.data import load_data


@pytest.mark.slow
@pytest.mark.parametrize("precision", fit_step.PRECISIONS)
def test_a_step_of_fit_takes_as_long_as_one_of_run(precision, monkeypatch):
    """Blocks in turns; the processor's time, which other load hardly changes."""
    few = types.SimpleNamespace(batch_size=32, blocks=5, steps=5)
    monkeypatch.setattr(fit_step, "FLAGS", few)
    row = fit_step.compare(load_data("digits"), "lwa", precision)
    assert len(row["wall_fit_ms"]) == len(row["wall_run_ms"]) == 5
    # The record has 5 %; a batch of 32 has a larger share of what fit does around a step.
    assert 0.5 < row["cpu_ratio"] < 1.25


def test_the_nets_compute_in_the_same_precision():
    data = load_data("digits")
    for precision in fit_step.PRECISIONS:
        net = fit_step.make_net(data, precision)
        assert {layer.compute_dtype for layer in net.layers[:-1]} == {precision}
        assert net.layers[-1].compute_dtype == "float32"
