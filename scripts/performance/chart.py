"""The charts of docs/performance.md: the summary, and the time relative to mmtf's of a record."""

import pathlib
from typing import Any

from benchmarks.peers.speed.works import BATCH
from mmtf.reports import plots
from scripts.performance.peers import OURS, rate
from scripts.performance.summary import COMPARED, cpu_name, ratios

LABELS = {
    "mmtf": "mmtf",
    "mmtf_every2": "mmtf, penalty on 1 in 2",
    "cleverhans": "CleverHans",
    "torch": "PyTorch, by hand",
    "foolbox": "Foolbox (TensorFlow)",
    "foolbox_torch": "Foolbox (PyTorch)",
    "art": "ART",
    "art_function": "ART, step compiled",
    "autoattack": "AutoAttack (PyTorch)",
}
TITLES = {
    "fgsm_step": f"Training step with FGSM (LWA), {BATCH} images",
    "minimax_grad_step": f"Training step of Minimax-Grad, {BATCH} images",
    "attnet_step": f"Training step of Minimax-AttNet, {BATCH} images",
    "pgd": "PGD, 40 steps, {count} images",
    "apgd": "APGD, 50 steps, {count} images",
    "autoattack": "AutoAttack, {count} images, one run",
    "start_up": "New process to the end of its first training step",
}
# (mmtf, others) by precision.
COLORS = {"float32": (plots.BLUE, plots.GRAY), "bfloat16": ("#7FB7DA", "#B8B8B8")}
# Heights of bars where rows are 1 apart: alone, and two to a row.
ALONE, PAIRED = 0.7, 0.42


def compared(rows: list[dict]) -> dict[str, list[dict]]:
    """Rows by work; a precision in which nobody stands beside mmtf is left out."""
    works: dict[str, list[dict]] = {}
    for row in rows:
        works.setdefault(row["work"], []).append(row)
    return {
        work: kept
        for work, given in works.items()
        if (
            kept := [
                row
                for row in given
                if any(
                    other["precision"] == row["precision"] and other["variant"] not in OURS
                    for other in given
                )
            ]
        )
    }


def draw(record: dict, path: pathlib.Path) -> None:
    """Draws the chart of one record.

    Args:
      record: as `benchmarks.peers.speed` writes it.
      path: of the PNG.
    """
    plt = plots.pyplot()
    from matplotlib.patches import Patch

    works = compared(record["rows"])
    heights = [_rows_high(rows) + 0.5 for rows in works.values()]
    figure, panels = plt.subplots(
        len(works),
        figsize=(7, sum(heights) + 1.8),
        height_ratios=heights,
        sharex=True,
        squeeze=False,
    )
    for axes, (work, rows) in zip(panels[:, 0], works.items(), strict=True):
        _panel(axes, rows)
        axes.set_title(TITLES[work].format(count=rows[0]["count"]), loc="left")
    panels[0, 0].margins(x=0.2)
    panels[-1, 0].set_xlabel("time / mmtf's in the same precision (lower is faster)")
    cores = record["hardware"]["cores"]
    figure.suptitle(
        f"Time relative to mmtf on {cores} cores of\n{cpu_name(record)}\n"
        f"MNIST's network, medians of {record['blocks']} timed blocks"
    )
    precisions = dict.fromkeys(row["precision"] for rows in works.values() for row in rows)
    figure.legend(
        handles=[
            Patch(color=COLORS[precision][side], label=f"{who}, {precision}")
            for precision in precisions
            for side, who in enumerate(("mmtf", "others"))
        ],
        loc="outside lower center",
        ncols=2,
    )
    plots.save(figure, path)
    plt.close(figure)


def draw_summary(records: dict[str, dict], path: pathlib.Path) -> None:
    """Draws mmtf's speed over its fastest peer's in float32: a group of bars for each work.

    Args:
      records: by kind of CPU, as `benchmarks.peers.speed` writes them.
      path: of the PNG.
    """
    plt = plots.pyplot()
    found = {title: ratios(records, work) for work, title in COMPARED.items()}
    cpus = list(dict.fromkeys(cpu for values in found.values() for cpu in values))
    figure, axes = plt.subplots(figsize=(6.6, 6.2))
    height = 0.8 / len(cpus)
    for number, cpu in enumerate(cpus):
        offset = (number - (len(cpus) - 1) / 2) * height
        shown = [(row + offset, one[cpu]) for row, one in enumerate(found.values()) if cpu in one]
        places, values = zip(*shown, strict=True)
        color = plots.COLORS[number]
        bars = axes.barh(places, values, 0.9 * height, color=color, label=cpu)
        axes.bar_label(bars, [f"{value:.2f}" for value in values], padding=4, fontsize=12)
    axes.axvline(1, color="black", lw=1)
    axes.grid(visible=False)
    axes.xaxis.set_major_locator(plt.MultipleLocator(0.5))
    axes.tick_params(axis="y", length=0)
    axes.set_yticks(range(len(found)), [title.replace(" of ", "\nof ") for title in found])
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set_xlabel("times as fast, in float32 (higher is faster)")
    figure.suptitle("Speed relative to the fastest other library\n2 CPU cores, MNIST's network")
    figure.legend(loc="outside lower center", ncols=1)
    plots.save(figure, path)
    plt.close(figure)


def _rows_high(rows: list[dict]) -> float:
    """Height of a panel's rows in inches: a bar needs the height of its label."""
    names = {row["variant"] for row in rows}
    return len(names) * (0.5 if len(rows) > len(names) else 0.36)


def _panel(axes: Any, rows: list[dict]) -> None:
    """Bars of one kind of work: a row for each variant, a bar for each precision."""
    names = list(dict.fromkeys(row["variant"] for row in rows))
    precisions = list(dict.fromkeys(row["precision"] for row in rows))
    height = PAIRED if len(precisions) > 1 else ALONE
    for row in rows:
        place = names.index(row["variant"])
        if sum(one["variant"] == row["variant"] for one in rows) > 1:
            place += (precisions.index(row["precision"]) - 0.5) * height
        color = COLORS[row["precision"]][row["variant"] not in OURS]
        bar = axes.barh(place, row["times_ours"], height, color=color)
        said = f"{row['times_ours']:.2f}"
        if row["variant"] == "mmtf":
            said += f"   {rate(row['per_second'], row['unit'])}"
        (label,) = axes.bar_label(bar, [said], fontsize=11, padding=5)
        label.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 0.2})  # over the line
    axes.set_yticks(range(len(names)), [LABELS[name] for name in names])
    axes.set_ylim(len(names) - 0.45, -0.55)
    axes.tick_params(axis="y", length=0)
    axes.axvline(1, color="#888", lw=0.8, zorder=0)
    axes.grid(visible=False)
