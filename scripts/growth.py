"""Renders the growth curves of docs/performance.md from their committed record.

    python -m scripts.growth

Reads results/benchmarks/growth.json, which `python -m benchmarks.growth` writes. Imports no
TensorFlow.
"""

from absl import app

from mmtf.cli.errors import in_one_line
from mmtf.reports import plots, read_json
from mmtf.reports.markdown import markdown_table
from scripts.blocks import DOCS, FIGURES, RESULTS, ROOT, rewrite, where

RECORD = RESULTS / "benchmarks" / "growth.json"
PAGE = DOCS / "performance.md"
FIGURE = FIGURES / "growth.png"
# Blocks of one point differ by a few percent from each other on a shared machine.
TOLERANCE = 1.1
# Memory may grow in proportion to the axis value to this power, plus a constant; default 1.
MEMORY_POWER = {"size": 2}
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
    """Groups rows by axis; adds time_growth, work_growth and memory_growth over the first row."""
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


def outgrown(rows: list[dict]) -> tuple[float, dict]:
    """Returns (factor by which time outgrows the work, the row where this is largest).

    The factor compares time per unit of work with the cheapest point before the row; compared with
    the first point, its fixed costs would hide the loss of later ones.
    """
    worst, cheapest = (0.0, rows[0]), rows[0]["seconds"] / rows[0]["flops"]
    for row in rows:
        each = row["seconds"] / row["flops"]
        worst = max(worst, (each / cheapest, row), key=lambda one: one[0])
        cheapest = min(cheapest, each)
    return worst


def bend(axis: str, rows: list[dict]) -> float:
    """Ratio of the last point's peak memory to a straight line through the first and middle."""
    power = MEMORY_POWER.get(axis, 1)
    shown = (rows[0], rows[len(rows) // 2], rows[-1])
    a, b, c = ((row["value"] ** power, row["peak_mib"]) for row in shown)
    if len({a[0], b[0], c[0]}) < 3:
        return 1.0
    slope = max((b[1] - a[1]) / (b[0] - a[0]), 0.0)
    return c[1] / (b[1] + slope * (c[0] - b[0]))


def block(record: dict) -> str:
    """Returns Markdown: a table of every point, and the axes on which cost outgrew the work."""
    lines, faster, bent = [], [], []
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
        ratio, worst = outgrown(rows)
        if ratio > TOLERANCE:
            faster.append(f"{TITLES[axis]} (at {worst['value']:,}: {ratio:.2f} x)")
        if bend(axis, rows) > TOLERANCE:
            bent.append(f"{TITLES[axis]} ({bend(axis, rows):.2f} x)")
    header = ["axis", "value", "ms", "GFLOP/s", "time", "work", "peak MiB", "memory"]
    told = (
        f"Time grows faster than the work by more than {TOLERANCE - 1:.0%} in: {', '.join(faster)}."
        if faster
        else f"Time grows faster than the work by at most {TOLERANCE - 1:.0%}."
    )
    memory = (
        "Peak memory grows faster than linearly (last point divided by the value of the line "
        f"through the first and the middle point) in: {', '.join(bent)}."
        if bent
        else "Peak memory grows at most linearly."
    )
    return (
        f"{markdown_table(header, lines)}\n\n{told} (For each axis: the largest time per unit of "
        f"work, divided by the smallest of an earlier point.) {memory} {where(record)}."
    )


def draw(record: dict) -> None:
    """Draws one panel per axis: time, work and memory relative to its first point, log scales."""
    plt = plots.pyplot()
    groups = by_axis(record)
    rows_high = -(-(len(groups) + 1) // 2)
    figure, panels = plt.subplots(rows_high, 2, figsize=(7, 2.9 * rows_high), squeeze=False)
    for axes in panels.flat[len(groups) :]:
        axes.set_axis_off()
    kinds = {
        "time_growth": ("time", plots.ORANGE, "-o"),
        "work_growth": ("arithmetic", plots.GRAY, "--"),
        "memory_growth": ("peak memory", plots.BLUE, "-s"),
    }
    for axes, (axis, rows) in zip(panels.flat, groups.items(), strict=False):
        values = [row["value"] for row in rows]
        for kind, (label, color, style) in kinds.items():
            axes.plot(values, [row[kind] for row in rows], style, color=color, label=label)
        axes.set(xscale="log", yscale="log", xlabel=TITLES[axis])
        axes.set_xticks(values, [_short(value) for value in values])
        axes.set_ylim(bottom=0.5, top=max(axes.get_ylim()[1], 4))
        grows = [one for one in (0.5, 1, 2, 5, 10, 20, 50, 100) if one <= axes.get_ylim()[1]]
        axes.set_yticks(grows, [f"{one:g}" for one in grows])
        axes.minorticks_off()
    for axes in panels[:, 0]:
        axes.set_ylabel("times the first point")
    panels.flat[-1].legend(*panels.flat[0].get_legend_handles_labels(), loc="center", fontsize=14)
    figure.suptitle(
        "Cost of a Minimax-Grad step on MNIST as one size grows\n"
        f"({record['hardware']['cores']} cores of {record['hardware']['cpu']}; PGD: of the attack)"
    )
    plots.save(figure, FIGURE)
    plt.close(figure)


def _short(value: int) -> str:
    """Formats whole thousands with a k: 15,000 is 15k."""
    return f"{value // 1000}k" if value >= 1000 and value % 1000 == 0 else str(value)


@in_one_line("scripts.growth")
def main(_: list[str]) -> None:
    """Rewrites the block of the page and draws the figure."""
    record = read_json(RECORD)
    rewrite(PAGE, {"growth": block(record)})
    draw(record)
    print(f"drew {FIGURE.relative_to(ROOT)}")


if __name__ == "__main__":
    app.run(main)
