"""Renders the strength table of docs/evaluation.md from its committed record.

    python -m scripts.strength

Reads results/evaluation/strength*.json, each a record.json of `python -m mmtf.evaluate` whose
`command` says how it was made. Needs no TensorFlow.
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
    command = "python -m mmtf.evaluate " + " ".join(record["command"][1:])
    notes = (
        f"{record['norm']}, eta {record['etas'][0]:g}, n = {record['n']:,}, PGD with "
        f"{pgd['steps']} steps and {pgd['restarts']} restarts. Checks: {signs}."
    )
    return "\n\n".join([table(record), f"{verdict} {notes}", f"`{command}`: {where(record)}."])


def main(_):
    texts = [block(read_json(path)) for path in sorted(RECORDS.glob("strength*.json"))]
    PAGE.write_text(replace_block(PAGE.read_text(), "strength", "\n\n".join(texts)))
    print(f"rendered {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    app.run(main)
