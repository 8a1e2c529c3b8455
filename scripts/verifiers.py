"""Renders the comparison with auto_LiRPA in docs/certified.md from its committed record.

    python -m scripts.verifiers

Reads results/benchmarks/auto_lirpa.json, made by `python -m benchmarks.auto_lirpa`. Imports no
TensorFlow.
"""

from absl import app

from mmtf.cli.errors import in_one_line
from mmtf.reports import read_json
from mmtf.reports.markdown import markdown_table
from scripts.blocks import DOCS, RESULTS, command, rewrite, where

RECORD = RESULTS / "benchmarks/auto_lirpa.json"
PAGE = DOCS / "certified.md"


def table(record: dict) -> str:
    """Returns a Markdown table, methods x (speed, certified images and margins of both)."""
    rows = []
    for row in record["rows"]:
        mine, other, gap = row["mmtf"], row["auto_LiRPA"], row["difference"]
        speeds = [row["n"] / one["cpu_seconds"] for one in (mine, other)]
        cells = [f"{speed:,.0f}" if speed >= 100 else f"{speed:.3g}" for speed in speeds]
        cells += [f"{speeds[0] / speeds[1]:.3g}", f"{mine['certified']} / {other['certified']}"]
        cells += [f"{gap['least']:.1e}", f"{gap['mean']:.1e}"]
        rows.append([f"`{row['method']}`", *cells])
    header = ["method", "mmtf, images per CPU second", "auto_LiRPA", "ratio"]
    header += ["certified, mmtf / auto_LiRPA", "margin of mmtf minus auto_LiRPA's, least", "mean"]
    return markdown_table(header, rows)


def blocks() -> dict[str, str]:
    """Returns name -> Markdown of the page's block."""
    record = read_json(RECORD)
    versions = record["versions"]
    notes = (
        f"All {record['rows'][0]['n']} x 9 margins of random {record['dataset'].upper()} test "
        f"images at eta {record['eta']:g}, of a net with {record['parameters']:,} parameters; "
        f"mmtf in float64, auto_LiRPA {versions['auto_LiRPA']} on PyTorch {versions['torch']} in "
        "float32, both on the CPU and in turn. Differences of 1e-5 are float32 rounding."
    )
    made = f"`{command(record, 'benchmarks.auto_lirpa')}`: {where(record)}."
    return {"auto_lirpa": "\n\n".join([table(record), notes, made])}


@in_one_line("scripts.verifiers")
def main(_: list[str]) -> None:
    """Rewrites the page."""
    rewrite(PAGE, blocks())


if __name__ == "__main__":
    app.run(main)
