"""Renders the errors of CIFAR-10's gradient games against images seen, from their records.

    python -m scripts.images_seen

Reads results/section3/cifar10_images_seen/GAME.json, each the record.json of the run that its
`command` names; writes docs/figures/images_seen.png and the block of docs/reproduction.md. Imports
no TensorFlow.
"""

from typing import Any

from absl import app

from mmtf.cli.errors import in_one_line
from mmtf.reports import plots, read_json
from mmtf.reports.markdown import markdown_table
from mmtf.reports.paper import paper_figure
from mmtf.stats.intervals import wilson
from scripts.blocks import DOCS, FIGURES, RESULTS, commands, error_text, rewrite

RECORDS = RESULTS / "section3" / "cifar10_images_seen"
PAGE = DOCS / "reproduction.md"
FIGURE = FIGURES / "images_seen.png"
TITLES = {"undefended": "undefended", "lwa": "LWA", "minimax_grad": "Minimax-Grad"}
ATTACKS = {"none": "no attack", "fgsm_curr": "FGSM", "pgd_curr": "PGD-10"}
# Steps of the table's rows; a run without a point there has empty cells.
ROWS = (2000, 4000, 6000, 10_000, 20_000, 40_000, 60_000, 80_000, 100_000)


def records() -> list[dict[str, Any]]:
    """Returns the records that exist, in the order of TITLES."""
    paths = [RECORDS / f"{game}.json" for game in TITLES]
    return [read_json(path) for path in paths if path.exists()]


def blocks(found: list[dict[str, Any]]) -> dict[str, str]:
    """Returns name -> Markdown of the generated block."""
    parts = [_table(found), *(_sentences(record) for record in found), commands(found)]
    return {"images seen": "\n\n".join(parts)}


def images_seen(record: dict[str, Any], step: int) -> float:
    """Millions of training images, counted with repetition, that a run has seen after `step`.

    Example:
      >>> images_seen({"config": {"schedule": {"batch_size": 128}}}, 100_000)
      12.8
    """
    return step * record["config"]["schedule"]["batch_size"] / 1e6


def lowest(record: dict[str, Any], attack: str) -> dict[str, Any]:
    """The point of a run's curve with the lowest error under an attack, the first of equal ones.

    Example:
      >>> curve = [{"step": 0, "none": 0.9}, {"step": 5, "none": 0.2}, {"step": 9, "none": 0.2}]
      >>> lowest({"curve": curve}, "none")["step"]
      5
    """
    return min(record["curve"], key=lambda point: point[attack])


def _table(found: list[dict[str, Any]]) -> str:
    rows = []
    for step in ROWS:
        cells = []
        for record in found:
            point = next((one for one in record["curve"] if one["step"] == step), None)
            cells += [f"{point[attack]:.3f}" if point else "" for attack in ATTACKS]
        if any(cells):
            rows.append([f"{images_seen(found[0], step):.2f}", *cells])
    games = [record["config"]["game"] for record in found]
    eta = found[0]["config"]["eta"]
    printed = [paper_figure("cifar10", eta, game, attack) for game in games for attack in ATTACKS]
    rows.append(["**the paper**", *("" if one is None else f"{one:.3f}" for one in printed)])
    header = [f"{TITLES[game]}, {title}" for game in games for title in ATTACKS.values()]
    return markdown_table(["million images seen", *header], rows)


def _sentences(record: dict[str, Any]) -> str:
    """What a run reached, where its errors were lowest, and whether the paper's clean error is."""
    game, results = record["config"]["game"], {one["attack"]: one for one in record["results"]}
    steps, pgd = record["training"]["steps"], f"PGD-{record['config']['pgd_steps']}"
    ends = [
        f"{title} {error_text(results[attack], 3)}"
        for attack, title in {**ATTACKS, "pgd_curr": pgd}.items()
    ]
    least = [
        f"{title} {point[attack]:.3f} after {point['step']:,} steps"
        for attack, title in ATTACKS.items()
        for point in [lowest(record, attack)]
    ]
    told = f"**{TITLES[game]}** after {steps:,} steps, with 95 % intervals: {', '.join(ends)}. "
    if checks := record["training"].get("checks"):
        end = 1.0 - checks["points"][-1]["pgd"]
        told += (
            f"PGD-{checks['pgd_steps']} at the end: {end:.3f} of {checks['images']} training "
            "images. "
        )
    told += f"Lowest on the way: {', '.join(least)}. "
    printed = paper_figure("cifar10", record["config"]["eta"], game, "none")
    if printed is not None:
        best = lowest(record, "none")
        low, high = wilson(round(best["none"] * best["n"]), best["n"])
        place = "below" if printed < low else "above" if printed > high else "within"
        told += (
            f"The paper's clean error, {printed:.3f}, is {place} the interval of the lowest one. "
        )
    per_step = record["training"]["processor_seconds_per_step"]
    if per_step is None:  # too few steps were timed
        return told.rstrip()
    return f"{told}Training took {steps * per_step:,.0f} processor seconds."


def draw(found: list[dict[str, Any]]) -> None:
    """Draws FIGURE: one panel for each attack, one line for each run, the paper's errors dotted."""
    plt = plots.pyplot()
    figure, panels = plt.subplots(1, len(ATTACKS), figsize=(11, 4.2), sharey=True)
    eta = found[0]["config"]["eta"]
    for axes, (attack, title) in zip(panels, ATTACKS.items(), strict=True):
        for number, record in enumerate(found):
            game = record["config"]["game"]
            points = [one | {"step": images_seen(record, one["step"])} for one in record["curve"]]
            look = {"label": TITLES[game], "number": number, "band": True}
            plots.error_curve(axes, points, attack, **look)
            printed = paper_figure("cifar10", eta, game, attack)
            if printed is not None:
                label = f"{TITLES[game]} in the paper"
                axes.axhline(printed, color=plots.COLORS[number], ls=":", label=label)
        plots.error_axis(axes)
        axes.set_title(title)
        axes.set_xlabel("million training images seen")
    panels[0].set_ylabel(plots.error_label(found[0]["curve"]))
    figure.suptitle(f"CIFAR-10, {plots.radius_text(eta, 'cifar10')}")
    plots.legend_below(figure)
    plots.save(figure, FIGURE)
    plt.close(figure)


@in_one_line("scripts.images_seen")
def main(_: list[str]) -> int:
    """Draws the figure and rewrites the block; returns the exit status."""
    found = records()
    draw(found)
    rewrite(PAGE, blocks(found))
    return 0


if __name__ == "__main__":
    app.run(main)
