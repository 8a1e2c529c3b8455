"""Training on a GPU: the table of docs/performance.md."""

from mmtf.reports.markdown import markdown_table
from scripts.blocks import where


def section(record: dict) -> str:
    """Returns a table of steps per second and a sentence on a run of the paper's length."""
    if not record.get("rows"):  # the benchmark was stopped before them
        return f"{_paper_run(record.get('paper'), record.get('first'))}{where(record)}."
    lines = []
    for row in record["rows"]:
        by = "XLA" if row["xla"] else "TensorFlow"
        rate = f"{row['steps_per_second']:,.1f}"
        lines.append(
            [row["game"], row["precision"], by, f"{row['batch']:,}", rate, f"{row['of_peak']:.0%}"]
        )
    header = ["game", "precision", "compiled by", "batch", "steps/s", "share of peak"]
    peaks = ", ".join(f"{name} {value:,.0f}" for name, value in record["matmul_gflops"].items())
    paper = _paper_run(record.get("paper"), record.get("first"))
    return (
        f"{markdown_table(header, lines)}\n\nMedians of blocks of {record['steps']} steps; "
        f"peak rate of {record['matmul']:,} x {record['matmul']:,} matrix products, GFLOP/s: "
        f"{peaks} (float32 as TF32 on tensor cores). "
        f"{paper}On {record['device']}; {where(record)}."
    )


def _paper_run(paper: dict | None, first: dict | None) -> str:
    if not paper:  # rows alone
        return ""
    errors = [
        f"{name} {one['error']:.4f} [{one['interval'][0]:.4f}, {one['interval'][1]:.4f}]"
        for name, one in (("clean", paper["errors"]["none"]), ("FGSM", paper["errors"]["fgsm"]))
    ]
    compiling = (
        ""
        if paper.get("steps_per_second") is None
        else (f", {beside_steps(paper):.1f} s of them for tracing and compilation")
    )
    if first and first["steps_per_second"] is not None:
        compiling += (
            f" ({beside_steps(first):.1f} s in the first process on that machine, with an empty "
            "cache of XLA's autotuning)"
        )
    return (
        f"{paper['steps']:,} Minimax-Grad steps of batch 128 in {paper['precision']} by XLA took "
        f"{paper['seconds']:.1f} s{compiling}: {', '.join(errors)}, "
        f"n = {paper['errors']['none']['n']:,}. "
    )


def beside_steps(run: dict) -> float:
    """Returns the seconds of a run beyond those of its steps at the measured rate."""
    return run["seconds"] - run["steps"] / run["steps_per_second"]
