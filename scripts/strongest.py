"""Renders the table of docs/strongest.md from its committed records.

    python -m scripts.strongest

Reads results/strongest: NET-report.json, the record.json of `python -m mmtf.evaluate` on a net, and
NET-training.json, the record.json of the net's training. Imports no TensorFlow.
"""

from collections.abc import Iterable
from typing import Any

from absl import app

from mmtf.cli.errors import in_one_line
from mmtf.reports import read_json
from mmtf.reports.markdown import markdown_table
from mmtf.reports.measured import WORST, attack_title
from scripts.blocks import DOCS, RESULTS, command, rewrite, where
from scripts.performance.summary import cpu_name
from scripts.strength import made_by

RECORDS = RESULTS / "strongest"
PAGE = DOCS / "strongest.md"
CERTIFIED, CHEAP = "certified", "certified_cheap"
REPORT, TRAINING = "report", "training"
SLOWER = RECORDS / "steps-avx2.json"  # a training's first steps on a CPU without bfloat16


def table(pairs: Iterable[tuple[dict[str, Any], dict[str, Any]]]) -> str:
    """Returns a Markdown table, nets and radii x attacks: errors in percent.

    Args:
      pairs: for each net the records of its evaluation and of its training. All were attacked by
        the same attacks.

    Example:
      >>> pair = {"attack": "worst", "eta": 0.1, "error": 0.01, "ci_low": 0.0, "ci_high": 0.02}
      >>> report = {"cells": [pair, {**pair, "attack": "certified", "n": 500}], "n": 500}
      >>> print(table([(report, {"config": {"eta": 0.3, "game_options": {"alpha": 0.03}}})]))
      | eta | trained at | alpha | worst of all | proved |
      | --- | --- | --- | --- | --- |
      | 0.1 | 0.3 | 0.03 | 1.00 [0.00, 2.00] | 1.00 |
    """
    rows, shown = [], []
    for report, run in pairs:
        cells = {(cell["eta"], cell["attack"]): cell for cell in report["cells"]}
        attacks = dict.fromkeys(attack for _, attack in cells)
        shown = [one for one in attacks if one not in (WORST, CERTIFIED, CHEAP)]
        for eta in dict.fromkeys(eta for eta, _ in cells):
            worst = cells[eta, WORST]
            ends = ", ".join(_percent(worst[end]) for end in ("ci_low", "ci_high"))
            proved = cells[eta, CERTIFIED]
            if proved["n"] < report["n"]:  # the dear verifiers had a part of the images
                proved = cells[eta, CHEAP]
            config = run["config"]
            rows.append(
                [
                    f"{eta:g}",
                    f"{config['eta']:g}",
                    f"{config['game_options']['alpha']:g}",
                    f"{_percent(worst['error'])} [{ends}]",
                    _percent(proved["error"]),
                    *(_percent(cells[eta, one]["error"]) for one in shown),
                ]
            )
    titles = [attack_title(one) for one in shown]
    header = ["eta", "trained at", "alpha", attack_title(WORST), "proved", *titles]
    return markdown_table(header, rows)


def _percent(error: float) -> str:
    return f"{100 * error:.2f}"


def about(report: dict[str, Any], run: dict[str, Any]) -> str:
    """Returns Markdown on one net: its training, what was found, and the commands.

    Args:
      report: the record of its evaluation.
      run: the record of its training.
    """
    training, config = run["training"], run["config"]
    told = (
        f"**Trained at eta {config['eta']:g} with alpha {config['game_options']['alpha']:g}**, "
        f"once: {training['steps']:,} steps in {training['seconds'] / 60:.1f} minutes on "
        f"{run['hardware']['cores']} cores."
    )
    for cell in report["cells"]:
        if cell["attack"] == CERTIFIED and cell["n"] < report["n"]:
            told += (
                f" Branch and bound had the first {cell['n']:,} images: at most "
                f"{_percent(cell['error'])} % of them. The table has what cheap bounds prove of "
                "all."
            )
    # Without the net's name, which each begins with.
    signs = [sign["text"].partition(": ")[2] for sign in report["signs"]]
    signs = [f"`mmtf.evaluate` warns of gradient masking, {text}" for text in signs]
    (model,) = report["models"].values()
    trained = f"`{command(run)} --workdir={model['path']}`: {where(run)}."
    return "\n\n".join([told, *signs, trained, made_by(report)])


def blocks() -> dict[str, str]:
    """Returns name -> Markdown of the blocks of the page."""
    pairs = []
    for path in sorted(RECORDS.glob(f"*-{REPORT}.json")):
        run = read_json(path.with_name(path.name.replace(REPORT, TRAINING)))
        pairs.append((read_json(path), run))
    report = pairs[0][0]
    pgd = report["attacks"]["pgd"]
    note = (
        f"Test errors in percent on {report['n']:,} images of {report['dataset']}. "
        f"`{attack_title(WORST)}`: an attack, or branch and bound where it had all images, found "
        "an adversarial example within eta; in brackets 95 % intervals. `proved`: no attack within "
        f"eta can make the error larger. PGD has {pgd['steps']} steps and {pgd['restarts']} random "
        "starts. Images proved robust by cheap bounds were not attacked."
    )
    slower = read_json(SLOWER)
    taken, steps = slower["training"], pairs[0][1]["training"]["steps"]
    minutes = steps * taken["seconds"] / taken["steps"] / 60
    note += (
        f"\n\nAt the speed of {taken['steps']} steps, training takes {minutes:.0f} minutes on "
        f"{slower['hardware']['cores']} cores of {cpu_name(slower)}, in "
        f"{slower['precision']['training']}: `ONEDNN_MAX_CPU_ISA=AVX2 {command(slower)}`, "
        f"{where(slower)}."
    )
    return {
        "strongest": f"{table(pairs)}\n\n{note}",
        "strongest nets": "\n\n".join(about(*pair) for pair in pairs),
    }


@in_one_line("scripts.strongest")
def main(_: list[str]) -> int:
    """Rewrites the blocks; returns the exit status."""
    rewrite(PAGE, blocks())
    return 0


if __name__ == "__main__":
    app.run(main)
