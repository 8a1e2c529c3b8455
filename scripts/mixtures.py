"""Renders the tables and the first sentence of docs/mixtures.md from the committed record.

    python -m scripts.mixtures

Reads results/mixture/mnist.json, the record.json of the command that the page names, and rewrites
the marked blocks of the page.
"""

from typing import Any

from absl import app

from mmtf.cli.errors import in_one_line
from mmtf.mixtures import report
from mmtf.reports import read_json
from scripts.blocks import DOCS, RESULTS, command, rewrite, where

RECORD = RESULTS / "mixture" / "mnist.json"
PAGE = DOCS / "mixtures.md"


def blocks() -> dict[str, str]:
    """Returns name -> Markdown of every generated block."""
    record = read_json(RECORD)
    grown = record["grown"]
    return {
        "verdict": report.verdict(record["strategies"]),
        "command": f"```bash\n{command(record, 'mmtf.mixture')}\n```\n\n{_how(record)}",
        "matrix": report.matrix_table(record["test"]),
        "weights": report.weights_table(record["strategies"]),
        "attackers": report.attackers_table(record["strategies"]),
        "alpha": report.alpha_table(record["bayesian"]),
        "rounds": report.rounds_table(grown),
        "grown matrix": report.matrix_table(grown["test"]),
        "grown weights": report.weights_table(grown["strategies"]),
        "grown attackers": report.attackers_table(grown["strategies"]),
        "grown verdict": report.growth_verdict(grown, grown["strategies"], record["strategies"]),
    }


def _how(record: dict[str, Any]) -> str:
    return (
        f"{record['test']['n']:,} test images, {record['selection']['n']:,} held-out training "
        f"images; {record['seconds']:.0f} s, of which {record['cpu_seconds']:.0f} s of processor "
        f"time. {where(record)}."
    )


@in_one_line("scripts.mixtures")
def main(argv: list[str]) -> int:
    """Rewrites the page; returns the exit status."""
    rewrite(PAGE, blocks())
    return 0


if __name__ == "__main__":
    app.run(main)
