"""The comparison as a table, as a sentence, and as the curve of utility against privacy."""

from collections.abc import Sequence
from typing import Any

from mmtf.privacy.comparison import Row
from mmtf.reports.markdown import markdown_table
from mmtf.reports.plots import COLORS, GRAY, MARKERS, pyplot, save

# Accuracies of the reference implementation of the minimax filter on GENKI with d = 10, as its
# README states them (target, private); other figures stored in genki.mat differ in part.
REFERENCE = {
    "network filter": (0.88, 0.66),
    "linear filter": (0.825, 0.52),
    "PCA": (0.84, 0.665),
    "PPLS": (0.85, 0.685),
    "random": (0.705, 0.705),
}


def table(rows: Sequence[Row], target: str, private: str, *, reference: bool = False) -> str:
    """A Markdown table: a row for each method, accuracies with 95 % intervals.

    Args:
      rows: of `mmtf.privacy.comparison.rows_of`.
      target, private: what the labels mean.
      reference: whether to add the figures that the reference implementation reports for GENKI.
    """
    names = list(rows[0].private)
    header = ["filter", f"target: {target}", f"private: {private}, strongest", *names, "train s"]
    lines = [
        [
            row.label,
            _interval(row.target),
            _interval(row.leak),
            *(f"{row.private[name]:.3f}" for name in names),
            f"{row.seconds:.1f}",
        ]
        for row in rows
    ]
    if reference:
        lines += [
            [f"reference: {name}", f"{keeps:.3f}", f"{hides:.3f}", *("" for _ in names), ""]
            for name, (keeps, hides) in REFERENCE.items()
        ]
    return markdown_table(header, lines)


def sentence(rows: Sequence[Row], chance: float) -> str:
    """Which method wins: the largest target accuracy minus what the strongest attacker gains.

    Args:
      rows: at least one.
      chance: accuracy of the attacker who always answers the most frequent private class.
    """
    ranked = sorted(rows, key=lambda row: _score(row, chance), reverse=True)
    best = ranked[0]
    reached = f"target {best.target.mean:.3f}, private {best.leak.mean:.3f}"
    if len(ranked) == 1:
        return f"{best.label}: {reached}; chance is {chance:.3f}."
    text = (
        f"By target accuracy minus the attacker's gain over chance ({chance:.3f}), {best.label} is "
        f"first: {reached}"
    )
    second = ranked[1]
    lead = _score(best, chance) - _score(second, chance)
    return (
        f"{text}. {second.label} follows {lead:.3f} behind (target {second.target.mean:.3f}, "
        f"private {second.leak.mean:.3f})."
    )


def curve(rows: Sequence[Row], path: str, *, chance: float, target: str, private: str) -> None:
    """Draws target accuracy against the strongest attacker's accuracy, with 95 % intervals.

    Minimax filters of one kind are joined by a line over rho, noises over epsilon.

    Args:
      rows: of `rows_of`.
      path: of the figure, .png or .svg.
      chance: see `sentence`.
      target, private: what the labels mean.
    """
    plt = pyplot()
    figure, axes = plt.subplots(figsize=(9, 6.5))
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.label.partition(",")[0], []).append(row)
    lines = [name for name, own in groups.items() if name.startswith("minimax") or len(own) > 1]
    for number, name in enumerate(lines):
        color, marker = COLORS[number % len(COLORS)], MARKERS[number % len(MARKERS)]
        own = groups[name]
        weights = [row.label.partition(",")[2].strip() for row in own]
        noise = not name.startswith("minimax")
        label = name if noise or len(own) == 1 else f"{name}, {weights[0]} to {weights[-1][4:]}"
        _points(axes, own, color, marker, joined=True, label=label)
        # The filters of one kind lie close together.
        for row, text in zip(own, weights, strict=True) if noise else ():
            _name(axes, row, text, color)
    for name in groups:
        if name not in lines:
            _points(axes, groups[name], GRAY, "x", joined=False, label=None)
            _name(axes, groups[name][0], name, GRAY)
    axes.axvline(chance, color=GRAY, linestyle=":", linewidth=1)
    axes.set_xlabel(f"accuracy of the strongest attacker ({private}); chance {chance:.2f} dotted")
    axes.set_ylabel(f"accuracy of the target ({target})")
    count = rows[0].target
    axes.set_title(f"Utility against privacy, n = {count.n}, seeds = {count.seeds}")
    if lines:
        figure.legend(loc="outside lower center", ncols=2)
    save(figure, path)
    plt.close(figure)


def to_json(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The rows as plain JSON data."""
    return [
        {
            "method": row.label,
            "target": row.target.mean,
            "target_interval": [row.target.low, row.target.high],
            "leak": row.leak.mean,
            "leak_interval": [row.leak.low, row.leak.high],
            "private": row.private,
            "n": row.target.n,
            "seeds": row.target.seeds,
            "seconds": row.seconds,
        }
        for row in rows
    ]


def _interval(one) -> str:
    return f"{one.mean:.3f} [{one.low:.3f}, {one.high:.3f}]"


def _score(row, chance):
    return row.target.mean - max(row.leak.mean - chance, 0.0)


def _points(axes, rows, color, marker, *, joined, label):
    x, y = [row.leak.mean for row in rows], [row.target.mean for row in rows]
    spread = [
        [[one.mean - one.low for one in of], [one.high - one.mean for one in of]]
        for of in ([row.leak for row in rows], [row.target for row in rows])
    ]
    axes.errorbar(
        x,
        y,
        xerr=spread[0],
        yerr=spread[1],
        fmt=marker + ("-" if joined else ""),
        color=color,
        elinewidth=0.6,
        alpha=0.9,
        label=label,
    )


def _name(axes, row, text, color):
    at = (row.leak.mean, row.target.mean)
    axes.annotate(text, at, xytext=(5, 5), textcoords="offset points", fontsize=9, color=color)
