"""The band between attacked and certified error against the radius, as a PNG."""

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from mmtf.reports import plots
from mmtf.stats.intervals import wilson

COLUMNS = 4
TICKS = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0)


class Ends(NamedTuple):
    """A bracket at one radius, errors in [0, 1].

    Attributes:
      eta: the radius; 0 for the images as they are.
      worst: at least the error of `worst`.
      certified: share that is not certified.
      n: number of examples.
    """

    eta: float
    worst: float
    certified: float
    n: int

    def interval(self, end: str) -> tuple[float, float]:
        """Wilson's 95 % interval of `worst` or `certified`."""
        return wilson(round(getattr(self, end) * self.n), self.n)


def band_series(record: Mapping[str, Any]) -> dict[str, list[Ends]]:
    """Model -> its brackets, radii ascending, from the clean error at 0.

    Radii that are arrays have no place on the axis.

    Args:
      record: of `mmtf.evaluate`.

    Returns:
      {} of a record without certificates at a number.

    Example:
      >>> one = {"defense": "net", "eta": 0.3, "n": 100, "clean_error": 0.01, "worst": 0.05}
      >>> [end.eta for end in band_series({"certified": [one | {"certified": 0.07}]})["net"]]
      [0.0, 0.3]
    """
    found: dict[str, list[Ends]] = {}
    entries = [one for one in record.get("certified", []) if not isinstance(one["eta"], str)]
    for one in sorted(entries, key=lambda entry: entry["eta"]):
        clean = Ends(0.0, one["clean_error"], one["clean_error"], one["n"])
        own = found.setdefault(one["defense"], [clean])
        own.append(Ends(one["eta"], one["worst"], one["certified"], one["n"]))
    # The models in the order of the record.
    return {name: found[name] for name in dict.fromkeys(one["defense"] for one in entries)}


def band_title(record: Mapping[str, Any]) -> str:
    """What the figure is about, in one line."""
    count = max(one["n"] for one in record["certified"])
    return f"{record['dataset']}, {record['norm']}, {count:,} test images"


def height_of(error: float) -> float:
    """Place of an error on an axis from 0 to 1: linear up to 1 %, logarithmic above.

    Brackets of some percent and errors of all images are then seen beside each other.

    Example:
      >>> [round(height_of(error), 3) for error in (0.0, 0.01, 0.1, 1.0)]
      [0.0, 0.333, 0.667, 1.0]
    """
    return error / 0.03 if error <= 0.01 else 1 + math.log10(error) / 3


def band_png(series: Mapping[str, Sequence[Ends]], title: str) -> bytes:
    """Draws the bands of all models, a panel each.

    The lower line is the error that attacks reach, the upper one the share that is not certified;
    the true worst-case error is in the band. Bars are Wilson's 95 % intervals.

    Args:
      series: of `band_series`, not empty.
      title: of the figure.

    Returns:
      A PNG file.

    Raises:
      ConfigError: matplotlib is not installed.
    """
    plt = plots.pyplot()
    columns = min(COLUMNS, len(series))
    rows = math.ceil(len(series) / columns)
    size = (max(5.0, 3.2 * columns), 3.0 * rows + 1.2)
    figure, grid = plt.subplots(
        rows, columns, figsize=size, sharex=True, sharey=True, squeeze=False
    )
    panels = list(grid.flat)
    for axes, (name, ends) in zip(panels, series.items(), strict=False):
        _draw(axes, ends)
        axes.set_title(name)
    for axes in panels[len(series) :]:
        axes.set_visible(False)
    for axes in panels[max(0, len(series) - columns) : len(series)]:
        axes.tick_params(labelbottom=True)
        axes.set_xlabel("eta")
    for axes in grid[:, 0]:
        axes.set_ylabel("test error in %")
    figure.suptitle(title)
    plots.legend_below(figure)
    written = io.BytesIO()
    figure.savefig(written, format="png", metadata={"Software": None})
    plt.close(figure)
    return written.getvalue()


def _draw(axes, ends) -> None:
    at = [one.eta for one in ends]
    low, high = ([height_of(getattr(one, end)) for one in ends] for end in ("worst", "certified"))
    axes.fill_between(at, low, high, color=plots.BLUE, alpha=0.2, lw=0)
    looks = (("certified", plots.BLUE, "s", high), ("worst", plots.ORANGE, "o", low))
    labels = {"certified": "at most (certified)", "worst": "at least (attacked)"}
    for end, color, marker, heights in looks:
        intervals = [tuple(map(height_of, one.interval(end))) for one in ends]
        bars = [
            [max(0.0, y - a) for y, (a, _) in zip(heights, intervals, strict=True)],
            [max(0.0, b - y) for y, (_, b) in zip(heights, intervals, strict=True)],
        ]
        look = {"color": color, "clip_on": False, "zorder": 3}
        axes.plot(at, heights, marker=marker, label=labels[end], lw=1.5, **look)
        axes.errorbar(at, heights, yerr=bars, fmt="none", capsize=2, **look)
    axes.set_ylim(0, 1)
    axes.set_yticks([height_of(tick) for tick in TICKS], [f"{100 * tick:g}" for tick in TICKS])
    axes.set_xlim(left=0)
    ticks = _apart(at)
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])


def _apart(etas: Sequence[float]) -> list[float]:
    """The radii whose labels do not touch, from the largest down, and 0."""
    kept: list[float] = []
    for eta in sorted(etas, reverse=True):
        if all(abs(eta - other) >= max(etas) / 6 for other in (*kept, 0.0)) or eta == 0:
            kept.append(eta)
    return sorted(kept)
