"""Renders the measured catastrophic overfitting of docs/training_options.md from its record.

    python -m scripts.collapse

Reads results/collapse/cifar10_lwa.json, the record.json of the run that its `command` names.
Imports no TensorFlow.
"""

from absl import app

from mmtf.cli.errors import in_one_line
from mmtf.reports import read_json
from mmtf.reports.markdown import markdown_table
from mmtf.reports.measured import percent
from scripts.blocks import DOCS, RESULTS, commands, rewrite

RECORD = RESULTS / "collapse" / "cifar10_lwa.json"
PAGE = DOCS / "training_options.md"


def blocks() -> dict[str, str]:
    """Returns name -> Markdown of the generated block."""
    record = read_json(RECORD)
    config, training = record["config"], record["training"]
    checks = training["checks"]
    header = ["step", f"under FGSM, of {checks['images']} training images", "under PGD-10"]
    rows = []
    for point in checks["points"]:
        step = f"{point['step']:,}"
        if point["step"] in checks["collapses"]:
            step += ": collapse"
        rows.append([step, percent(point["fgsm"]), percent(point["pgd"])])
    errors = {result["attack"]: result["error"] for result in record["results"]}
    first, n = checks["collapses"][0], record["results"][0]["n"]
    text = (
        f"Measured: `{config['game']}` on {config['dataset']}, `{config['net']}`, eta "
        f"{config['eta']:g}. Accuracy while it trains; with `--on_collapse=stop` training ends at "
        f"step {first:,} of {config['schedule']['steps']:,}."
    )
    end = (
        f"The result has {training['weights']}. Its error on {n:,} test images: "
        f"{percent(errors['none'])} without an attack, {percent(errors['fgsm_curr'])} under FGSM "
        f"and {percent(errors['pgd_curr'])} under PGD-{config['pgd_steps']}."
    )
    parts = [text, markdown_table(header, rows), end, commands([record])]
    return {"collapse": "\n\n".join(parts)}


@in_one_line("scripts.collapse")
def main(_: list[str]) -> int:
    """Rewrites the block; returns the exit status."""
    rewrite(PAGE, blocks())
    return 0


if __name__ == "__main__":
    app.run(main)
