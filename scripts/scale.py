"""Renders the section on large images and many classes of docs/performance.md from its record.

    python -m scripts.scale

Reads results/benchmarks/scale.json, which `python -m benchmarks.scale` writes. Imports no
TensorFlow.
"""

from absl import app

from mmtf.cli.errors import in_one_line
from mmtf.reports import plots, read_json
from mmtf.reports.markdown import markdown_table
from scripts.blocks import DOCS, FIGURES, RESULTS, ROOT, rewrite, where

RECORD = RESULTS / "benchmarks" / "scale.json"
PAGE = DOCS / "performance.md"
FIGURE = FIGURES / "scale.png"
WHO = {"mmtf": "mmtf", "foolbox": "Foolbox", "art": "ART"}


def title(row: dict) -> str:
    """Name of a row's attack; of DeepFool also how many candidates it has.

    Example:
      >>> title({"attack": "deepfool", "candidates": 0}), title({"attack": "pgd"})
      ('DeepFool, all classes', 'pgd')
    """
    if row["attack"] != "deepfool":
        return row["attack"]
    return f"DeepFool, {row['candidates'] or 'all'} classes"


def blocks(record: dict) -> dict[str, str]:
    """Returns block name -> Markdown: ResNet-50 beside the peers, and the growth curves."""
    parts = record["parts"]
    return {
        "resnet50": f"{_beside(parts['resnet50'])}\n\n{_told(record)} {where(record)}.",
        "scale": _curves([*parts["classes"], *parts["sizes"]]),
    }


def _beside(rows: list[dict]) -> str:
    lines = []
    for row in sorted(
        rows, key=lambda one: list({r["attack"]: 0 for r in rows}).index(one["attack"])
    ):
        line = [row["attack"], str(row["steps"]), WHO[row["who"]]]
        if "error" in row:
            lines.append([*line, row["error"], "", "", ""])
            continue
        added = row["peak_mib"] - row["before_mib"]
        figures = [f"{row['seconds']:.0f}", f"{row['cpu']:.0f}"]
        lines.append([*line, *figures, f"{row['peak_mib']:,.0f}", f"{added:,.0f}"])
    header = ["attack", "steps", "who", "s", "CPU s", "peak MiB", "of which the attack"]
    return markdown_table(header, lines)


def _told(record: dict) -> str:
    rows = [row for row in record["parts"]["resnet50"] if "error" not in row]
    one = rows[0]
    largest = max(row["peak_mib"] for row in rows if row["who"] == "mmtf")
    return (
        f"{one['images']} images of {one['size']} x {one['size']} x 3, in batches of "
        f"{one['batch_size']}, {one['classes']:,} classes; the whole attack, tracing included. "
        f"mmtf's largest peak is {largest / 1024:.1f} GiB, TensorFlow and the net included."
    )


def _curves(rows: list[dict]) -> str:
    lines = []
    for row in rows:
        lines.append(
            [
                title(row),
                f"{row['classes']:,}",
                f"{row['size']}",
                f"{row['batch_size']}",
                f"{row['first_cpu']:.1f}",
                f"{row['cpu']:.2f}",
                f"{row['peak_mib']:,.0f}",
                f"{row['peak_mib'] - row['before_mib']:,.0f}",
            ]
        )
    header = ["attack", "classes", "size", "batch", "first CPU s", "next CPU s", "peak MiB"]
    return markdown_table([*header, "of which the attack"], lines)


def draw(record: dict) -> None:
    """Draws CPU seconds and added memory over the classes, and over the size of the images.

    Over the classes the seconds are those of the first run, because it was tracing that grew with
    them; over the size those of the next run.
    """
    plt = plots.pyplot()
    figure, panels = plt.subplots(2, 2, figsize=(8, 6.4), squeeze=False)
    axes = {"classes": ("classes", "first_cpu"), "sizes": ("size", "cpu")}
    for (part, (axis, seconds)), column in zip(axes.items(), panels.T, strict=True):
        rows = record["parts"][part]
        for number, name in enumerate(dict.fromkeys(map(title, rows))):
            mine = [row for row in rows if title(row) == name]
            values = [row[axis] for row in mine]
            style = {"color": plots.COLORS[number], "marker": plots.MARKERS[number], "label": name}
            column[0].plot(values, [row[seconds] for row in mine], **style)
            column[1].plot(values, [row["peak_mib"] - row["before_mib"] for row in mine], **style)
        ticks = sorted({row[axis] for row in rows})
        for panel in column:
            panel.set(xscale="log", ylim=(0, 1.15 * panel.get_ylim()[1]))
            panel.set_xticks(ticks, [f"{one:,}" for one in ticks])
            panel.minorticks_off()
        column[0].legend(fontsize=10, loc="upper left")
        column[1].set_xlabel({"classes": "classes", "size": "height and width"}[axis])
    panels[0, 0].set_ylabel("CPU s, tracing included")
    panels[0, 1].set_ylabel("CPU s, traced before")
    panels[1, 0].set_ylabel("MiB that the attack adds")
    figure.suptitle("Attacks on 24 RGB images, a net of three convolutions")
    plots.save(figure, FIGURE)
    plt.close(figure)


@in_one_line("scripts.scale")
def main(_: list[str]) -> None:
    """Rewrites the blocks of the page and draws the figure."""
    record = read_json(RECORD)
    rewrite(PAGE, blocks(record))
    draw(record)
    print(f"drew {FIGURE.relative_to(ROOT)}")


if __name__ == "__main__":
    app.run(main)
