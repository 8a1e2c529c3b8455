"""Style and helper functions of all charts that mmtf and its scripts draw with matplotlib."""

import importlib.util
import os
import pathlib
from types import ModuleType
from typing import Any

from mmtf.config import is_standardized
from mmtf.errors import ConfigError
from mmtf.stats.intervals import wilson

# Distinguishable with color blindness: Okabe and Ito (2008), "Color Universal Design".
BLUE, ORANGE, GREEN, PURPLE, GRAY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#666666"
COLORS = (BLUE, ORANGE, GREEN, PURPLE)
MARKERS = ("o", "s", "^", "D")
DPI = 110
STYLE: dict[Any, Any] = {
    "font.size": 12,
    "axes.titlesize": 12,
    "axes.labelsize": 12,
    "figure.titlesize": 14,
    "legend.fontsize": 12,
    "xtick.labelsize": 11,
    "ytick.labelsize": 11,
    "lines.linewidth": 2,
    "lines.markersize": 5,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
    "savefig.dpi": DPI,
    "svg.hashsalt": "mmtf",  # makes SVG files reproducible
}


def require_matplotlib() -> None:
    """Raises ConfigError if matplotlib is not installed."""
    if importlib.util.find_spec("matplotlib") is None:
        raise ConfigError(
            "Expected matplotlib for figures. Received: none. Run pip install 'mmtf[figures]'."
        )


def pyplot() -> ModuleType:
    """matplotlib.pyplot with STYLE set and the backend Agg, which needs no display.

    Raises:
      ConfigError: matplotlib is not installed.
    """
    require_matplotlib()
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams.update(STYLE)
    import matplotlib.pyplot as plt

    return plt


def save(figure: Any, path: str | os.PathLike) -> None:
    """Saves a matplotlib figure to `path`, creating the folder if necessary.

    Args:
      figure: a figure of `pyplot`.
      path: its suffix gives the format, `.png` or `.svg`.
    """
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None} if str(path).endswith("svg") else None)


def radius_text(eta: float, dataset: str = "mnist") -> str:
    """A radius as text, for titles of plots: eta, and eps = eta / 2 for pixels in [0, 1].

    Each image of CIFAR-10 is standardized by its own mean and deviation. One eta is then a
    different eps for each image, and the text has no eps.

    Args:
      eta: radius for pixels in [-1, 1].
      dataset: name of the dataset.

    Example:
      >>> radius_text(0.3), radius_text(0.05, "cifar10")
      ('eta 0.3 (eps 0.15)', 'eta 0.05 (standardized)')
    """
    return f"eta {eta:g} " + (
        "(standardized)" if is_standardized(dataset) else f"(eps {eta / 2:g})"
    )


def error_curve(
    axes: Any,
    points: list[dict],
    attack: str,
    *,
    label: str,
    number: int = 0,
    dashed: bool = False,
    band: bool = False,
) -> None:
    """Draws the test error under one attack against the training step.

    Args:
      axes: axes of a figure of `pyplot`.
      points: measurements during a run: dicts with the keys step, n (test images) and the names of
        attacks, whose values are errors in [0, 1]. Points at step 0 are not drawn.
      attack: name of the attack.
      label: text in the legend.
      number: index of the color in COLORS and of the marker in MARKERS, 0 to 3.
      dashed: whether the line is dashed.
      band: whether to shade Wilson's 95 % interval over the n test images.
    """
    points = [point for point in points if point["step"] > 0]
    steps, errors = [p["step"] for p in points], [p[attack] for p in points]
    look = {"color": COLORS[number], "marker": MARKERS[number], "clip_on": False, "zorder": 3}
    axes.plot(steps, errors, "--" if dashed else "-", label=label, **look)
    if band:
        ends = [wilson(round(p[attack] * p["n"]), p["n"]) for p in points]
        axes.fill_between(steps, *zip(*ends, strict=True), color=COLORS[number], alpha=0.15, lw=0)


def error_axis(axes: Any, log: bool = False) -> None:
    """Sets the vertical axis to errors from 0 to 1.

    Args:
      axes: axes of a figure of `pyplot`.
      log: whether the scale is logarithmic above 0.01; below, it is linear.
    """
    if log:
        axes.set_yscale("symlog", linthresh=0.01)
        axes.set_yticks([0, 0.01, 0.1, 1], ["0", "0.01", "0.1", "1"])
        axes.minorticks_off()
    axes.set_ylim(0, 1)
    axes.locator_params(axis="x", nbins=5, steps=[1, 2, 5, 10])


def legend_below(figure: Any) -> None:
    """Draws one legend for all axes of a figure, below them, in two columns.

    Each label appears once; the labels of solid lines come first.
    """
    entries: dict[str, Any] = {}
    for axes in figure.axes:
        for line, label in zip(*axes.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, line)
    labels = sorted(entries, key=lambda label: entries[label].get_linestyle() != "-")
    lines = [entries[label] for label in labels]
    figure.legend(lines, labels, loc="outside lower center", ncols=2)


def error_label(points: list[dict]) -> str:
    """Label of the vertical axis, with the number n of test images.

    Args:
      points: see `error_curve`.

    Example:
      >>> error_label([{"step": 1, "n": 500, "none": 0.1}])
      'test error (n = 500)'
    """
    return f"test error (n = {points[0]['n']:,})"
