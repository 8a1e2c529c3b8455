"""AutoAttack on many images beside the original: the table of docs/performance.md."""

from mmtf.reports.markdown import markdown_table
from scripts.blocks import where
from scripts.performance.peers import NAMES, made_by
from scripts.performance.summary import cpu_name


def section(record: dict) -> str:
    """Returns a table of seconds and errors, of a record that has the work `autoattack` alone.

    Args:
      record: as `benchmarks.peers.speed --works=autoattack` writes it.
    """
    rows = record["rows"]
    original = max(one["wall"][0] for one in rows if one["variant"] == "autoattack")
    lines = [
        [
            NAMES[one["variant"]],
            one["precision"],
            f"{one['wall'][0]:,.0f}",
            f"{one['cpu']:,.0f}",
            f"{one['error']:.1%}",
            f"{original / one['wall'][0]:.2f}",
        ]
        for one in rows
    ]
    header = ["library", "precision", "s", "CPU s", "misclassified", "original's time / its own"]
    peers = ", ".join(f"{name} {record['peers'][name]}" for name in ("autoattack", "torch"))
    table = markdown_table(header, lines)
    note = (
        f"Standard AutoAttack, 5,000 queries, on the first {rows[0]['count']:,} test images, eta "
        f"{record['eta']:g}, one run each; mmtf judges its images in float32. A time is that of "
        "the attack in a new process, compilation included, imports and loading not. "
        f"{where(record)}. Compared: {peers}."
    )
    return "\n\n".join([f"**{cpu_name(record)}**", table, note, made_by(record)])
