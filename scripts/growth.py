"""Renders the growth curves of docs/performance.md from their committed record.

    python -m scripts.growth

Reads results/benchmarks/growth.json, which `python -m benchmarks.growth` writes. Needs no
TensorFlow.
"""

import pathlib

from absl import app

from mmtf.reports import read_json
from mmtf.reports.markdown import markdown_table, replace_block
from scripts.gradient_games import where

ROOT = pathlib.Path(__file__).resolve().parents[1]
RECORD = ROOT / "results" / "benchmarks" / "growth.json"
PAGE = ROOT / "docs" / "performance.md"
FIGURE = ROOT / "docs" / "figures" / "growth.png"
# Blocks of one point differ by a few per cent from each other on a machine with other guests.
TOLERANCE = 1.1
TITLES = {
    "batch": "images in a batch",
    "size": "height and width of an image",
    "channels": "channels",
    "classes": "classes",
    "attack_steps": "steps of PGD",
    "examples": "training examples, in memory",
    "streamed_examples": "training examples, by tf.data",
}


def by_axis(record: dict) -> dict[str, list[dict]]:
    """Rows by axis, with `time_growth`, `work_growth` and `memory_growth` over the first."""
    groups = {}
    for row in record["rows"]:
        rows = groups.setdefault(row["axis"], [])
        first = rows[0] if rows else row
        grown = {
            "time_growth": row["seconds"] / first["seconds"],
            "work_growth": row["flops"] / first["flops"],
            "memory_growth": row["peak_mib"] / first["peak_mib"],
        }
        rows.append(row | grown)
    return groups


def block(record: dict) -> str:
    """A table of every point, and what grew faster than the work."""
    lines, faster = [], []
    for axis, rows in by_axis(record).items():
        for row in rows:
            lines.append(
                [
                    TITLES[axis],
                    f"{row['value']:,}",
                    f"{1000 * row['seconds']:.1f}",
                    f"{row['flops'] / row['seconds'] / 1e9:.0f}",
                    f"{row['time_growth']:.2f}",
                    f"{row['work_growth']:.2f}",
                    f"{row['peak_mib']:,.0f}",
                    f"{row['memory_growth']:.2f}",
                ]
            )
        worst = max(rows, key=lambda row: row["time_growth"] / row["work_growth"])
        ratio = worst["time_growth"] / worst["work_growth"]
        if ratio > TOLERANCE:
            faster.append(f"{TITLES[axis]} (at {worst['value']:,}: {ratio:.2f} x)")
    header = ["axis", "value", "ms", "GFLOP/s", "time", "work", "peak MiB", "memory"]
    told = (
        f"Time outgrows the work by more than {TOLERANCE - 1:.0%} over: {', '.join(faster)}."
        if faster
        else f"Nowhere does time outgrow the work by more than {TOLERANCE - 1:.0%}."
    )
    return f"{markdown_table(header, lines)}\n\n{told} {where(record)}."


def draw(record: dict) -> None:
    """One panel an axis: time, work and memory over those of the first point, on log scales."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    groups = by_axis(record)
    figure, panels = plt.subplots(
        2, -(-len(groups) // 2), figsize=(11, 5), layout="constrained", squeeze=False
    )
    for axes in panels.flat[len(groups) :]:
        axes.axis("off")
    kinds = {"time_growth": ("C3", "-o"), "work_growth": ("C7", "--"), "memory_growth": ("C0", "-")}
    for axes, (axis, rows) in zip(panels.flat, groups.items(), strict=False):
        for kind, (colour, style) in kinds.items():
            label = kind.removesuffix("_growth")
            values = [row["value"] for row in rows]
            grown = [row[kind] for row in rows]
            axes.plot(values, grown, style, color=colour, ms=3, lw=1, label=label)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel(TITLES[axis], fontsize=8)
        axes.tick_params(labelsize=7, which="both")
        axes.set_ylim(bottom=0.5, top=max(axes.get_ylim()[1], 4))
    panels[0, 0].legend(fontsize=8, frameon=False)
    figure.suptitle("Growth over the first point of each axis", fontsize=9)
    FIGURE.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(FIGURE, dpi=130)


def main(_):
    record = read_json(RECORD)
    PAGE.write_text(replace_block(PAGE.read_text(), "growth", block(record)))
    draw(record)
    print(f"rendered {PAGE.relative_to(ROOT)} and {FIGURE.relative_to(ROOT)}")


if __name__ == "__main__":
    app.run(main)
