"""One style for every chart that the package and its scripts draw."""

import importlib.util
import os
import pathlib
from types import ModuleType
from typing import Any

from mmtf.errors import ConfigError
from mmtf.stats.intervals import wilson

# Told apart with any color vision: Okabe and Ito (2008), "Color Universal Design".
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
    "svg.hashsalt": "mmtf",  # the same file for the same chart
}


def require_matplotlib() -> None:
    """Raises ConfigError where charts cannot be drawn."""
    if importlib.util.find_spec("matplotlib") is None:
        raise ConfigError(
            "Expected matplotlib for figures. Received: none. pip install 'mmtf[figures]'."
        )


def pyplot() -> ModuleType:
    """matplotlib.pyplot in this style, without a display.

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
    """Writes a figure of `pyplot` to `path`, whose folder is made when missing, and closes it."""
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None} if str(path).endswith("svg") else None)


def radius_text(eta: float, dataset: str = "mnist") -> str:
    """A radius of the box [-1, 1], and epsilon, the same one on pixels in [0, 1].

    CIFAR-10's images are standardized one by one, so that one eta is another epsilon on each.

    Example:
      >>> radius_text(0.3), radius_text(0.05, "cifar10")
      ('eta 0.3 (eps 0.15)', 'eta 0.05 (standardized)')
    """
    return f"eta {eta:g} " + ("(standardized)" if dataset == "cifar10" else f"(eps {eta / 2:g})")


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
    """The test error under `attack` during training, after the first step.

    Args:
      axes: of a figure of `pyplot`.
      points: a run's curve: dicts with step, n and the error under each attack.
      attack: a key of them.
      label: in the legend.
      number: of the color and the marker.
      dashed: whether the line is.
      band: shade the 95 % interval over the n test images (Wilson's).
    """
    points = [point for point in points if point["step"] > 0]
    steps, errors = [p["step"] for p in points], [p[attack] for p in points]
    look = {"color": COLORS[number], "marker": MARKERS[number], "clip_on": False, "zorder": 3}
    axes.plot(steps, errors, "--" if dashed else "-", label=label, **look)
    if band:
        ends = [wilson(round(p[attack] * p["n"]), p["n"]) for p in points]
        axes.fill_between(steps, *zip(*ends, strict=True), color=COLORS[number], alpha=0.15, lw=0)


def error_axis(axes: Any, log: bool = False) -> None:
    """The vertical axis from 0 to 1, linear below 0.01 and logarithmic above where `log`."""
    if log:
        axes.set_yscale("symlog", linthresh=0.01)
        axes.set_yticks([0, 0.01, 0.1, 1], ["0", "0.01", "0.1", "1"])
        axes.minorticks_off()
    axes.set_ylim(0, 1)
    axes.locator_params(axis="x", nbins=5, steps=[1, 2, 5, 10])


def legend_below(figure: Any) -> None:
    """One legend of all the axes below them: the solid lines, then the dashed ones beside them."""
    entries: dict[str, Any] = {}
    for axes in figure.axes:
        for line, label in zip(*axes.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, line)
    labels = sorted(entries, key=lambda label: entries[label].get_linestyle() != "-")
    lines = [entries[label] for label in labels]
    figure.legend(lines, labels, loc="outside lower center", ncols=2)


def error_label(points: list[dict]) -> str:
    """What the vertical axis shows, with n of a run's curve.

    Example:
      >>> error_label([{"step": 1, "n": 500, "none": 0.1}])
      'test error (n = 500)'
    """
    return f"test error (n = {points[0]['n']:,})"
