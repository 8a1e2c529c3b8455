"""Renders the measured table of docs/union.md from its committed record.

    python -m scripts.union_measured

Reads results/union/*.json, each a record.json of `python -m mmtf.evaluate` with several radii,
whose `command` says how it was made. Imports no TensorFlow.
"""

from typing import Any

from absl import app

from mmtf.cli.errors import in_one_line
from mmtf.reports import read_json
from mmtf.reports.measured import WORST, percent
from scripts.blocks import DOCS, RESULTS, rewrite
from scripts.strength import made_by, table

RECORDS = RESULTS / "union"
PAGE = DOCS / "union.md"
UNION = "union"


def sentence(record: dict[str, Any]) -> str:
    """How the union game compares with the other nets under all attacks of the record.

    Example:
      >>> cell = {"attack": "worst", "ci_low": 0.0, "ci_high": 1.0}
      >>> cells = [cell | {"defense": "lwa", "error": 0.5}, cell | {"defense": "union", "error": 0}]
      >>> sentence({"cells": cells, "n": 100})
      'Under the worst of these attacks `union` errs on 0.0 % of 100 images (95 % interval 0.0 % \
to 100.0 %), `lwa` on 50.0 %.'
    """
    worst = {cell["defense"]: cell for cell in record["cells"] if cell["attack"] == WORST}
    ours = worst.pop(UNION)
    others = [f", `{name}` on {percent(cell['error'])}" for name, cell in worst.items()]
    return (
        f"Under the worst of these attacks `{UNION}` errs on {percent(ours['error'])} of "
        f"{record['n']:,} images (95 % interval {percent(ours['ci_low'])} to "
        f"{percent(ours['ci_high'])}){''.join(others)}."
    )


def block(record: dict[str, Any]) -> str:
    """Returns Markdown: the sentence, the table and the command."""
    return "\n\n".join([sentence(record), table(record), made_by(record)])


def blocks() -> dict[str, str]:
    """Returns name of a record -> Markdown of its block of the page."""
    return {path.stem: block(read_json(path)) for path in sorted(RECORDS.glob("*.json"))}


@in_one_line("scripts.union_measured")
def main(_: list[str]) -> None:
    """Rewrites the page."""
    rewrite(PAGE, blocks())


if __name__ == "__main__":
    app.run(main)
