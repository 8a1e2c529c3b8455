"""Renders the strength tables of docs/evaluation.md from their committed records.

    python -m scripts.strength

Reads results/evaluation/strength*.json and autoattack*.json, each a record.json of
`python -m mmtf.evaluate` whose `command` says how it was made. Needs no TensorFlow.
"""

import pathlib

from absl import app

from mmtf.reports import read_json
from mmtf.reports.markdown import markdown_table, replace_block
from scripts.gradient_games import where

ROOT = pathlib.Path(__file__).resolve().parents[1]
RECORDS = ROOT / "results" / "evaluation"
PAGE = ROOT / "docs" / "evaluation.md"
ENSEMBLE, OVERALL, CLEAN = "autoattack", "worst", "none"


def table(record: dict) -> str:
    """Attacks x classifiers: error and 95 % interval."""
    cells = {(cell["attack"], cell["defense"]): cell for cell in record["cells"]}
    defenses = list(dict.fromkeys(cell["defense"] for cell in record["cells"]))
    attacks = list(dict.fromkeys(cell["attack"] for cell in record["cells"]))
    rows = []
    for attack in attacks:
        found = [cells[attack, defense] for defense in defenses]
        rows.append(
            [
                attack,
                *(
                    f"{cell['error']:.3f} [{cell['ci_low']:.3f}, {cell['ci_high']:.3f}]"
                    for cell in found
                ),
            ]
        )
    return markdown_table(["attack", *defenses], rows)


def beaten(record: dict) -> list[tuple[str, str, int]]:
    """(classifier, attack, how many images more) where a single attack breaks more than AutoAttack.

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
    """The table, the verdict, the signs and how it was made."""
    more = beaten(record)
    told = [f"{attack} on {defense} by {count}" for defense, attack, count in more]
    verdict = (
        f"AutoAttack breaks fewer images than: {', '.join(told)}."
        if more
        else "AutoAttack breaks at least as many images as every single attack on every classifier."
    )
    signs = "; ".join(one["text"] for one in record["signs"]) or "no sign of masked gradients"
    pgd = record["pgd"] if "pgd" in record else record["attacks"]["pgd"]
    notes = (
        f"{record['norm']}, eta {record['etas'][0]:g}, n = {record['n']:,}, PGD with "
        f"{pgd['steps']} steps and {pgd['restarts']} restarts. Checks: {signs}."
    )
    return "\n\n".join([table(record), f"{verdict} {notes}", made_by(record)])


def made_by(record: dict) -> str:
    """The command, the versions, the machine."""
    command = "python -m mmtf.evaluate " + " ".join(record["command"][1:])
    return f"`{command}`: {where(record)}."


def timing(record: dict) -> str:
    """How long AutoAttack took on each classifier of the record."""
    told = [
        f"{cell['n']:,} images of {cell['defense']}: {cell['seconds'] / 60:.1f} minutes, error "
        f"{cell['error']:.4f} [{cell['ci_low']:.4f}, {cell['ci_high']:.4f}]"
        for cell in record["cells"]
        if cell["attack"] == ENSEMBLE
    ]
    return (
        "AutoAttack with the standard's iterations (100 steps, 9 targets, 5,000 queries), "
        f"{'; '.join(told)}."
    )


def rendered() -> str:
    """The text of the page with the block as the committed records have it."""
    texts = [block(read_json(path)) for path in sorted(RECORDS.glob("strength*.json"))]
    for path in sorted(RECORDS.glob("autoattack*.json")):
        record = read_json(path)
        texts.append(f"{timing(record)}\n\n{made_by(record)}")
    return replace_block(PAGE.read_text(), "strength", "\n\n".join(texts))


def main(_):
    PAGE.write_text(rendered())
    print(f"rendered {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    app.run(main)
