"""Charts of one style: what is drawn, in which words, and the same file every time."""

import importlib.util

import pytest

from mmtf.errors import ConfigError
from mmtf.reports import plots
from mmtf.stats.intervals import wilson

POINTS = [{"step": step, "n": 500, "none": 0.1, "fgsm": 0.3} for step in (0, 10, 20)]


def test_what_is_lacking_is_said(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="Expected matplotlib .* pip install"):
        plots.pyplot()


@pytest.fixture
def axes():
    pytest.importorskip("matplotlib")
    plt = plots.pyplot()
    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)


def test_a_curve_has_its_errors_and_their_interval(axes):
    plots.error_curve(axes, POINTS, "none", label="no attack", band=True)
    (line,) = axes.lines
    assert line.get_xydata().tolist() == [[10, 0.1], [20, 0.1]]
    heights = axes.collections[0].get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == pytest.approx(wilson(50, 500))


def test_text_can_be_read_at_half_size_and_lines_be_told_apart(axes):
    for number in range(len(plots.COLORS)):
        plots.error_curve(axes, POINTS, "none", label=str(number), number=number)
    assert len({line.get_marker() for line in axes.lines}) == len(plots.COLORS)
    assert all(line.get_linewidth() == 2 for line in axes.lines)
    texts = [axes.title, axes.xaxis.label, *axes.get_xticklabels(), *axes.get_yticklabels()]
    assert all(text.get_fontsize() >= 11 for text in texts)


def test_a_legend_sets_solid_lines_beside_dashed_ones(axes):
    for name, dashed in (("a", False), ("a: FGSM", True), ("b", False), ("b: FGSM", True)):
        plots.error_curve(axes, POINTS, "fgsm", label=name, dashed=dashed)
    plots.legend_below(axes.figure)
    (legend,) = axes.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["a", "b", "a: FGSM", "b: FGSM"]


def test_the_same_chart_is_the_same_file(axes, tmp_path):
    plots.error_curve(axes, POINTS, "none", label="no attack")
    plots.error_axis(axes, log=True)
    assert [text.get_text() for text in axes.get_yticklabels()] == ["0", "0.01", "0.1", "1"]
    for name in ("one.svg", "new/two.svg"):
        plots.save(axes.figure, tmp_path / name)
    assert (tmp_path / "one.svg").read_text() == (tmp_path / "new" / "two.svg").read_text()
