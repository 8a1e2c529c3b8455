"""Distance from the minimax set at which each solver ends on each test surface.

    python -m benchmarks.solvers [--starts=100] [--steps=1000] [--rules NAME ...] [--output=...]
                                 [--render]

Each rule is tuned by running every setting of its grid from `TUNING_STARTS` starts. The setting
that is best for all surfaces, and the one that is best for each surface, are then run from
`--starts` other starts, whose results are reported. The starts of all surfaces run as one batch of
independent games. Writes the record (JSON), the tables of docs/solvers.md and the figure.
`--render` only makes the tables from the record; `--rules` measures the named rules and keeps the
record's cells of all others.
"""

import argparse
import itertools
import json
import pathlib
import platform
import sys
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mmtf import solvers
from mmtf.cli.errors import in_one_line
from mmtf.errors import require
from mmtf.reports import plots, read_json
from mmtf.reports.markdown import markdown_table, replace_block
from mmtf.solvers.surfaces import HIGH, LOW, SURFACES

ROOT = pathlib.Path(__file__).resolve().parents[1]
RECORD = ROOT / "results" / "benchmarks" / "solvers.json"
DOCS = ROOT / "docs" / "solvers.md"
FIGURE = ROOT / "docs" / "figures" / "solvers.png"

SOLVED = 0.01
TUNING_STARTS = 100
TUNING_SEED, REPORT_SEED, FIGURE_SEED = 1, 2, 3

RATES = {
    "u_rate": [0.01, 0.03, 0.1],
    "v_rate": [0.01, 0.03, 0.1],
    "schedule": ["constant", "cosine"],
}
GAMMAS = {"gamma": [0.1, 0.3, 1.0, 3.0]}
SPREADS = {"spread": [1.0, 3.0]}
# label -> (rule, fixed options, options searched besides the rates)
RULES = {
    "simultaneous": ("simultaneous", {}, {}),
    "alternating": ("alternating", {}, {}),
    "alternating, 10 ascent steps": ("alternating", {"v_steps": 10}, {}),
    "sensitivity (Alg. 1)": ("sensitivity", {"order": "simultaneous"}, GAMMAS),
    "sensitivity, sequential": ("sensitivity", {"order": "sequential"}, GAMMAS),
    "unrolled": ("unrolled", {}, {"k": [1, 5], "rate": [0.1, 0.5]}),
    "extragradient": ("extragradient", {}, {}),
    "optimistic": ("optimistic", {}, {}),
    "consensus": ("consensus", {}, GAMMAS),
    "K-beam, K = 1": ("k_beam", {"beams": 1}, {}),
    "K-beam, K = 2": ("k_beam", {"beams": 2}, SPREADS),
    "K-beam, K = 5": ("k_beam", {"beams": 5}, SPREADS),
    "K-beam, K = 10": ("k_beam", {"beams": 10}, SPREADS),
}
DRAWN = ["alternating", "sensitivity (Alg. 1)", "extragradient", "K-beam, K = 10"]


def settings_of(label: str, rates: Mapping[str, list] = RATES) -> list[dict[str, Any]]:
    """Returns every setting of a rule's grid, as dictionaries."""
    _, fixed, searched = RULES[label]
    grid = {**rates, **searched}
    return [{**fixed, **dict(zip(grid, x, strict=True))} for x in itertools.product(*grid.values())]


def make(label: str, setting: Mapping[str, Any], steps: int) -> solvers.Solver:
    """Returns the solver of one setting, on the box |u|, |v| <= 1/2."""
    own = dict(setting)
    box = solvers.Box(LOW, HIGH)
    rule = solvers.SOLVERS[RULES[label][0]]
    rates = [own.pop("u_rate"), own.pop("v_rate")]
    if own.pop("schedule") == "cosine":
        # The decay counts optimizer updates, of which a rule may make several in each step.
        each = [rule.updates, rule.updates * own.get("v_steps", 1)]
        rates = [
            keras.optimizers.schedules.CosineDecay(rate, steps * updates)
            for rate, updates in zip(rates, each, strict=True)
        ]
    return rule(u_optimizer=rates[0], v_optimizer=rates[1], project_u=box, project_v=box, **own)


def all_surfaces(u: tf.Tensor, v: tf.Tensor) -> tf.Tensor:
    """Values of all surfaces: row i of u and v is on surface i, each entry an independent game."""
    return tf.stack([surface.f(u[i], v[i]) for i, surface in enumerate(SURFACES.values())])


def starts_of(seed: int, starts: int) -> np.ndarray:
    """Returns uniform starts of (u, v): float32 [2, surfaces, starts]."""
    shape = (2, len(SURFACES), starts)
    return np.random.default_rng(seed).uniform(LOW, HIGH, shape).astype("float32")


def ends(
    label: str, setting: Mapping[str, Any], seed: int, starts: int, steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Runs `steps` steps; returns |u - u*| and max_v f(u, .) - f(u, v), each [surfaces, starts]."""
    if RULES[label][0] == "k_beam":
        setting = {**setting, "seed": seed}
    u0, v0 = starts_of(seed, starts)
    solver = make(label, setting, steps)
    solution = solvers.solve(all_surfaces, u0, v0, solver=solver, steps=steps)
    grid = tf.linspace(LOW, HIGH, 1001)[:, None]
    rows = list(zip(SURFACES.values(), solution.u, strict=True))
    best = [tf.reduce_max(surface.f(u, grid), axis=0) for surface, u in rows]
    distance = [surface.distance(u) for surface, u in rows]
    return np.array(distance), np.array(best) - solution.value.numpy()


def choose(means: np.ndarray) -> tuple[int, list[int]]:
    """Returns the index of the best setting for all surfaces, and that for each surface.

    Args:
      means: mean distances, [settings, surfaces].
    """
    overall = min(range(len(means)), key=lambda i: (-np.sum(means[i] < SOLVED), means[i].mean()))
    return overall, [int(i) for i in np.argmin(means, axis=0)]


def measure(
    label: str, *, starts: int, steps: int, rates: Mapping[str, list] = RATES
) -> list[dict[str, Any]]:
    """Tunes one rule and measures the chosen settings; returns a dict for each cell."""
    settings = settings_of(label, rates)
    tuning = [ends(label, x, TUNING_SEED, TUNING_STARTS, steps)[0] for x in settings]
    means = np.mean(tuning, axis=2)
    overall, each = choose(means)
    fresh = {i: ends(label, settings[i], REPORT_SEED, starts, steps) for i in {overall, *each}}
    cells = []
    for tuned, chosen in (("all surfaces", [overall] * len(each)), ("this surface", each)):
        for row, (surface, i) in enumerate(zip(SURFACES, chosen, strict=True)):
            distance, gap = (x[row] for x in fresh[i])
            cells.append(
                {
                    "rule": label,
                    "surface": surface,
                    "tuned_on": tuned,
                    "setting": settings[i],
                    "mean": float(distance.mean()),
                    "sd": float(distance.std()),
                    "solved": float((distance < SOLVED).mean()),
                    "v_gap": float(gap.mean()),
                }
            )
    return cells


def table(record: dict, tuned_on: str, text: Callable[[dict], str]) -> str:
    """Returns a Markdown table, rules x surfaces, of text(cell); solved cells are bold."""
    lines = []
    for label in record["grids"]:
        cells = [c for c in record["cells"] if (c["rule"], c["tuned_on"]) == (label, tuned_on)]
        texts = [f"**{text(c)}**" if c["mean"] < SOLVED else text(c) for c in cells]
        lines.append([label, *texts])
    return markdown_table(["rule", *SURFACES], lines)


def distance_text(cell: dict) -> str:
    """Returns the mean and the standard deviation of a cell's distances as text."""
    return f"{cell['mean']:.4f} ± {cell['sd']:.4f}"


def gap_text(cell: dict) -> str:
    """Returns a cell's mean of max_v f(u, .) - f(u, v), or 0 if rounding made it negative."""
    return f"{max(cell['v_gap'], 0.0):.3f}"


def settings_table(record: dict) -> str:
    """Returns a Markdown table of the setting that each rule uses for all surfaces."""
    lines = []
    for label in record["grids"]:
        setting = next(
            dict(c["setting"])
            for c in record["cells"]
            if c["rule"] == label and c["tuned_on"] == "all surfaces"
        )
        first = [str(setting.pop(k)) for k in ("u_rate", "v_rate", "schedule")]
        lines.append([label, *first, ", ".join(f"{k}={v}" for k, v in setting.items())])
    return markdown_table(["rule", "u rate", "v rate", "schedule", "rule's own options"], lines)


def surfaces_table() -> str:
    """Returns a Markdown table of the surfaces and their solutions."""
    lines = []
    for name, s in SURFACES.items():
        u_star = ", ".join(f"{u:g}" for u in s.u_star)
        saddle = "yes" if s.saddle else "no"
        lines.append([name, f"`{s.formula}`", u_star, f"{s.value:.5g}", saddle])
    return markdown_table(["surface", "f(u, v)", "minimax u", "value", "saddle point"], lines)


def render(record: dict) -> str:
    """Returns the generated part of docs/solvers.md."""
    run = (
        f"{record['starts']} starts, {record['steps']} steps; made by `{record['command']}` "
        f"with TensorFlow {record['versions']['tensorflow']}. Bold: below {SOLVED}."
    )
    return "\n\n".join(
        [
            surfaces_table(),
            "### One setting for all surfaces",
            f"Mean ± standard deviation of |u - u*|, {run}",
            table(record, "all surfaces", distance_text),
            "The settings, chosen on other starts than those reported:",
            settings_table(record),
            "### The best setting for each surface",
            table(record, "this surface", distance_text),
            "### Is v the maximizer?",
            "Mean of max_v f(u, ·) - f(u, v) at the end of the runs of the first table, with bold "
            "as there: if a bold value is not near 0, u is a minimax solution, but v is not a "
            "maximizer.",
            table(record, "all surfaces", gap_text),
        ]
    )


def page(text: str, record: dict) -> str:
    """Returns the text of docs/solvers.md with its generated part made from the record."""
    return replace_block(text, "generated", f"\n{render(record)}\n")


def draw(record: dict, path: pathlib.Path, paths: int = 6) -> None:
    """Draws every surface's contours with trajectories of a few rules at their chosen settings."""
    plt = plots.pyplot()
    steps = record["steps"]
    grid = np.linspace(LOW, HIGH, 201).astype("float32")
    page, axes = plt.subplots(
        len(DRAWN),
        len(SURFACES),
        figsize=(2.15 * len(SURFACES), 2.3 * len(DRAWN) + 1.2),
        sharex=True,
        sharey=True,
    )
    for row, label in enumerate(DRAWN):
        setting = next(c["setting"] for c in record["cells"] if c["rule"] == label)
        u0, v0 = starts_of(FIGURE_SEED, paths)
        solution = solvers.solve(
            all_surfaces, u0, v0, solver=make(label, setting, steps), steps=steps, trajectory=True
        )
        us, vs = (x.numpy() for x in solution.trajectory)
        for column, (name, surface) in enumerate(SURFACES.items()):
            axis = axes[row, column]
            f = surface.f(tf.constant(grid[None, :]), tf.constant(grid[:, None])).numpy()
            axis.contour(grid, grid, f, levels=10, colors="0.8", linewidths=0.8)
            for u_star in surface.u_star:
                axis.axvline(u_star, color=plots.GREEN, linestyle="--", label="minimax u*")
            look = {"color": plots.BLUE, "clip_on": False}
            axis.plot(us[:, column], vs[:, column], linewidth=1.2, alpha=0.6, **look)
            axis.plot(us[0, column], vs[0, column], "o", markersize=5, **look, label="start")
            axis.plot(
                us[-1, column],
                vs[-1, column],
                "D",
                color=plots.ORANGE,
                markersize=7,
                clip_on=False,
                label=f"after {steps:,} steps",
            )
            ticks = [0.8 * LOW, 0, 0.8 * HIGH]
            axis.set(xlim=(LOW, HIGH), ylim=(LOW, HIGH), aspect="equal", xticks=ticks, yticks=ticks)
            axis.grid(False)
            if row == 0:
                axis.set_title(name)
            if row == len(DRAWN) - 1:
                axis.set_xlabel("u (minimizes)")
        axes[row, 0].set_ylabel(f"{label}\nv (maximizes)")
    page.suptitle(f"Four update rules on {len(SURFACES)} surfaces, {paths} starts each")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    page.legend(list(unique.values()), list(unique), loc="outside lower center", ncols=3)
    plots.save(page, path)
    plt.close(page)


@in_one_line("benchmarks.solvers", takes_arguments=True)
def main(arguments: list[str] | None = None) -> None:
    """Measures the rules, or only renders the record.

    Args:
      arguments: of the command line; None: of this process.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.solvers", description=__doc__)
    parser.add_argument("--starts", type=int, default=100, help="starts of each surface")
    parser.add_argument("--steps", type=int, default=1000, help="steps from each start")
    parser.add_argument("--output", type=pathlib.Path, default=RECORD, help="the record")
    parser.add_argument(
        "--rules", nargs="+", choices=RULES, help="measure only these; default: all"
    )
    parser.add_argument("--render", action="store_true", help="only render the record")
    options = parser.parse_args(arguments)
    for name in ("starts", "steps"):
        require(getattr(options, name) > 0, f"--{name} > 0", getattr(options, name))
    if options.render:
        record = read_json(options.output)
    else:
        kept = []
        if options.rules:
            before = read_json(options.output)
            if (before["starts"], before["steps"]) != (options.starts, options.steps):
                parser.error(f"--rules with the starts and steps of {options.output}")
            kept = before["cells"]
        cells = []
        for label in RULES:
            if options.rules and label not in options.rules:
                cells += [cell for cell in kept if cell["rule"] == label]
                continue
            cells += measure(label, starts=options.starts, steps=options.steps)
            print(label, [round(c["mean"], 4) for c in cells[-2 * len(SURFACES) :]], flush=True)
        record = {
            "command": f"python -m benchmarks.solvers --starts={options.starts} "
            f"--steps={options.steps}",
            "starts": options.starts,
            "steps": options.steps,
            "tuning_starts": TUNING_STARTS,
            "seeds": {"tuning": TUNING_SEED, "report": REPORT_SEED, "figure": FIGURE_SEED},
            "grids": {k: {**RATES, **fixed, **own} for k, (_, fixed, own) in RULES.items()},
            "versions": {
                "python": platform.python_version(),
                "tensorflow": tf.__version__,
                "keras": keras.__version__,
            },
            "cells": cells,
        }
        if options.rules:  # all other cells are those of the earlier record
            record["measured_again"] = options.rules
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(record, indent=1) + "\n")
        if options.output == RECORD:
            draw(record, FIGURE)
    if options.output == RECORD:
        DOCS.write_text(page(DOCS.read_text(), record))


if __name__ == "__main__":
    sys.exit(main())
