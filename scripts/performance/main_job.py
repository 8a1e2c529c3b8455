"""The time of README's command on MNIST, from its start to its table, in docs/performance.md."""

from mmtf.reports.markdown import markdown_table
from mmtf.reports.measured import attack_title
from scripts.blocks import commands
from scripts.performance.summary import cpu_name


def section(records: list[dict]) -> str:
    """Returns a table, a row for each record of `mmtf.run`, and the commands that made them."""
    rows = []
    for record in records:
        errors = [f"{one['error']:.4f}" for one in record["results"]]
        seconds = record["seconds_in_last_process"], record["training"]["seconds"]
        precision = record["precision"]["training"]
        rows.append([cpu_name(record), precision, *(f"{one:.0f}" for one in seconds), *errors])
    names = [one["attack"].removesuffix("_curr") for one in records[0]["results"]]
    attacks = [attack_title(name) for name in names]
    header = ["CPU", "precision", "s in all", "s of training", *attacks]
    n = records[0]["results"][0]["n"]
    return (
        f"{markdown_table(header, rows)}\n\nTest errors on {n:,} images, measured in float32; "
        "one run each, the imports included.\n\n"
        f"{commands(records)}"
    )


def line(records: list[dict]) -> str:
    """Returns the conclusion for the top of the page."""
    each = "; ".join(
        f"{cpu_name(one)}: {one['seconds_in_last_process']:.0f} s, of which "
        f"{one['training']['seconds']:.0f} s of training"
        for one in records
    )
    return (
        "**The whole job**: `python -m mmtf.run --game=minimax_grad --eta=0.3`, from its start to "
        f"the printed table ({each})."
    )
