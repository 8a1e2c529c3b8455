"""Renders the strength tables of docs/evaluation.md from their committed records.

    python -m scripts.strength

Reads results/evaluation/strength*.json and autoattack*.json, each a record.json of
`python -m mmtf.evaluate` whose `command` says how it was made. Imports no TensorFlow.
"""

from absl import app

from mmtf.cli.errors import in_one_line
from mmtf.reports import read_json
from mmtf.reports.markdown import markdown_table
from scripts.blocks import ACCURACY, DOCS, RESULTS, command, error_text, rewrite, where

RECORDS = RESULTS / "evaluation"
PAGE = DOCS / "evaluation.md"
ENSEMBLE, OVERALL, CLEAN = "autoattack", "worst", "none"


def table(record: dict) -> str:
    """Returns a Markdown table, attacks x classifiers: error and 95 % interval."""
    cells = {(cell["attack"], cell["defense"]): cell for cell in record["cells"]}
    defenses = list(dict.fromkeys(cell["defense"] for cell in record["cells"]))
    attacks = list(dict.fromkeys(cell["attack"] for cell in record["cells"]))
    rows = []
    for attack in attacks:
        found = [cells[attack, defense] for defense in defenses]
        rows.append([attack, *(error_text(cell, 3) for cell in found)])
    return markdown_table(["attack", *defenses], rows)


def beaten(record: dict) -> list[tuple[str, str, int]]:
    """Lists the single attacks that succeed on more images than AutoAttack.

    Returns:
      (classifier, attack, number of additional images) for each such attack.

    Example:
      >>> cells = [{"defense": "a", "attack": attack, "error": error, "n": 100}
      ...          for attack, error in (("pgd", 0.5), ("autoattack", 0.4))]
      >>> beaten({"cells": cells})
      [('a', 'pgd', 10)]
    """
    ensemble = {one["defense"]: one for one in record["cells"] if one["attack"] == ENSEMBLE}
    return [
        (cell["defense"], cell["attack"], more)
        for cell in record["cells"]
        if cell["attack"] != OVERALL
        and (more := round((cell["error"] - ensemble[cell["defense"]]["error"]) * cell["n"])) > 0
    ]


def block(record: dict) -> str:
    """Returns Markdown: table, comparison with AutoAttack, gradient masking checks, command."""
    more = beaten(record)
    told = [f"{attack} on {defense} by {count}" for defense, attack, count in more]
    verdict = (
        f"Attacks that succeed on more images than AutoAttack: {', '.join(told)}."
        if more
        else "On every classifier, AutoAttack succeeds on at least as many images as every other "
        "attack."
    )
    signs = "; ".join(one["text"] for one in record["signs"]) or "no sign of masked gradients"
    pgd = record["pgd"] if "pgd" in record else record["attacks"]["pgd"]
    notes = (
        f"{record['norm']}, eta {record['etas'][0]:g}, n = {record['n']:,}, PGD with "
        f"{pgd['steps']} steps and {pgd['restarts']} restarts. {ACCURACY} Checks: {signs}."
    )
    return "\n\n".join([table(record), f"{verdict} {notes}", made_by(record)])


def made_by(record: dict) -> str:
    """Returns the record's command, versions and machine."""
    return f"`{command(record, 'mmtf.evaluate')}`: {where(record)}."


def timing(record: dict) -> str:
    """Returns a sentence on AutoAttack's minutes and error on each classifier of the record."""
    told = [
        f"{cell['n']:,} images of {cell['defense']}: {cell['seconds'] / 60:.1f} minutes, error "
        f"{error_text(cell)}"
        for cell in record["cells"]
        if cell["attack"] == ENSEMBLE
    ]
    return (
        "AutoAttack with the standard's iterations (100 steps, 9 targets, 5,000 queries), "
        f"{'; '.join(told)}."
    )


def blocks() -> dict[str, str]:
    """Returns name -> Markdown of the page's block."""
    texts = [block(read_json(path)) for path in sorted(RECORDS.glob("strength*.json"))]
    for path in sorted(RECORDS.glob("autoattack*.json")):
        record = read_json(path)
        texts.append(f"{timing(record)}\n\n{made_by(record)}")
    return {"strength": "\n\n".join(texts)}


@in_one_line("scripts.strength")
def main(_: list[str]) -> None:
    """Rewrites the page."""
    rewrite(PAGE, blocks())


if __name__ == "__main__":
    app.run(main)
