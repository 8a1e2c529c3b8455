"""A step of fit beside one of mmtf.run: the table of docs/performance.md."""

import statistics

from mmtf.reports.markdown import markdown_table
from scripts.blocks import where


def section(record: dict) -> str:
    """Returns a table of milliseconds per step and the ratios of both ways."""
    lines = []
    for row in record["rows"]:
        fit, run = (statistics.median(row[f"wall_{one}_ms"]) for one in ("fit", "run"))
        ratios = [f"{row[f'{clock}_ratio']:.3f}" for clock in ("wall", "cpu")]
        lines.append([row["game"], row["precision"], f"{fit:.0f}", f"{run:.0f}", *ratios])
    header = ["game", "precision", "fit, ms", "mmtf.run, ms", "ratio of time", "of processor time"]
    return (
        f"{markdown_table(header, lines)}\n\nMedians of {record['blocks']} blocks of "
        f"{record['steps']} steps, batch {record['batch_size']}; the ratios are medians over pairs "
        f"of blocks, fit divided by mmtf.run. {where(record)}."
    )
