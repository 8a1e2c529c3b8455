"""Renders the table of docs/strongest.md from its committed records.

    python -m scripts.strongest

Reads results/strongest: NET-report.json, the record.json of `python -m mmtf.evaluate` on a net, and
NET-training.json, the record.json of the net's training. Imports no TensorFlow.
"""

from typing import Any

from absl import app

from mmtf.cli.errors import in_one_line
from mmtf.reports import read_json
from mmtf.reports.markdown import markdown_table
from mmtf.reports.measured import WORST, attack_title
from scripts.blocks import DOCS, RESULTS, command, rewrite, where
from scripts.strength import made_by

RECORDS = RESULTS / "strongest"
PAGE = DOCS / "strongest.md"
CERTIFIED = "certified"
# Columns of what verifiers prove; the cheap ones alone where the others had few images.
PROVED = {CERTIFIED: "proved", "certified_cheap": "proved by cheap bounds"}
REPORT, TRAINING = "report", "training"
COUNTEREXAMPLES = "bab"  # the verifier that finds images on which the net errs


def table(record: dict[str, Any]) -> str:
    """Returns a Markdown table, radii x attacks: errors in percent, `worst` with its 95 % interval.

    Example:
      >>> cells = [{"attack": "none", "eta": 0.1, "error": 0.01, "ci_low": 0.0, "ci_high": 0.02}]
      >>> print(table({"cells": cells, "n": 1000}))
      | eta | no attack |
      | --- | --- |
      | 0.1 | 1.00 |
    """
    cells = {(cell["eta"], cell["attack"]): cell for cell in record["cells"]}
    attacks = list(dict.fromkeys(attack for _, attack in cells))
    rows = []
    for eta in dict.fromkeys(eta for eta, _ in cells):
        row = [f"{eta:g}"]
        for attack in attacks:
            cell = cells[eta, attack]
            text = f"{100 * cell['error']:.2f}"
            if attack == WORST:
                text += f" [{100 * cell['ci_low']:.2f}, {100 * cell['ci_high']:.2f}]"
            if attack == CERTIFIED and cell["n"] < record["n"]:
                text += f" of {cell['n']:,}"
            row.append(text)
        rows.append(row)
    names = [PROVED.get(one, attack_title(one)) for one in attacks]
    return markdown_table(["eta", *names], rows)


def block(report: dict[str, Any], run: dict[str, Any]) -> str:
    """Returns Markdown on one net: its table and the commands that made it.

    Args:
      report: the record of its evaluation.
      run: the record of its training.
    """
    training, pgd = run["training"], report["attacks"]["pgd"]
    about = (
        f"Trained at eta {run['config']['eta']:g} with alpha "
        f"{run['config']['game_options']['alpha']:g}, once: {training['steps']:,} steps in "
        f"{training['seconds'] / 60:.1f} minutes on {run['hardware']['cores']} cores. Test "
        f"errors in percent on {report['n']:,} images of {report['dataset']}; `proved`: no attack "
        f"within eta can make the error larger. PGD has {pgd['steps']} steps and "
        f"{pgd['restarts']} random starts. Images proved robust by cheap bounds were not attacked."
    )
    counts = {one["n"] for one in report["cells"] if one["attack"] == CERTIFIED}
    if fewer := counts - {report["n"]}:
        about += f" Branch and bound had the first {max(fewer):,} images."
    elif COUNTEREXAMPLES in report["verifiers"]:
        about += f" `{attack_title(WORST)}` counts the counterexamples of branch and bound as well."
    # Without the net's name, which each begins with.
    signs = [sign["text"].partition(": ")[2] for sign in report["signs"]]
    signs = [f"`mmtf.evaluate` warns of gradient masking, {text}" for text in signs]
    (model,) = report["models"].values()
    trained = f"`{command(run)} --workdir={model['path']}`: {where(run)}."
    return "\n\n".join([table(report), about, *signs, trained, made_by(report)])


def blocks() -> dict[str, str]:
    """Returns name -> Markdown of the block of the page."""
    texts = []
    for path in sorted(RECORDS.glob(f"*-{REPORT}.json")):
        run = read_json(path.with_name(path.name.replace(REPORT, TRAINING)))
        texts.append(block(read_json(path), run))
    return {"strongest": "\n\n".join(texts)}


@in_one_line("scripts.strongest")
def main(_: list[str]) -> int:
    """Rewrites the block; returns the exit status."""
    rewrite(PAGE, blocks())
    return 0


if __name__ == "__main__":
    app.run(main)
