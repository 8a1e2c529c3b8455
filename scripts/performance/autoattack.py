"""AutoAttack on many images beside the original: the table of docs/performance.md."""

from mmtf.reports.markdown import markdown_table
from scripts.blocks import where
from scripts.performance.peers import NAMES


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
    versions = ", ".join(f"{name} {version}" for name, version in record["peers"].items())
    command = " ".join(["python -m benchmarks.peers.speed", *record["command"][1:]])
    return (
        f"{markdown_table(header, lines)}\n\nStandard AutoAttack, 5,000 queries, on the first "
        f"{rows[0]['count']:,} test images, eta {record['eta']:g}, one run each; mmtf judges its "
        "images in float32. A time is that of the attack in a new process, compilation included, "
        f"imports and loading not. {where(record)}. Compared libraries: {versions}.\n\n"
        f"Made by `{command}`."
    )
