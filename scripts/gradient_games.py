"""Renders the tables and the figure of section 3's games from their committed records.

    python -m scripts.gradient_games

Reads results/section3/*.json (each the record.json of the run that its own `command` names) and
train_step.json, fused_penalty.json and penalty_every.json of results/benchmarks; rewrites the
marked blocks of docs/gradient_games.md and docs/figures/minimax_grad.png. Imports no TensorFlow.
"""

import statistics

from absl import app

from mmtf.cli.errors import in_one_line
from mmtf.reports import paper_figure, plots, read_json
from mmtf.reports.markdown import games_table, markdown_table, matrix_table
from scripts.blocks import DOCS, FIGURES, RESULTS, ROOT, commands, rewrite, spread_text, where

RECORDS = RESULTS / "section3"
BENCHMARKS = RESULTS / "benchmarks"
PAGE = DOCS / "gradient_games.md"
FIGURE = FIGURES / "minimax_grad.png"
MAIN = "mnist_minimax_grad"
CURVES = {"none": "no attack", "fgsm_curr": "FGSM", "pgd_curr": "PGD, 10 steps"}


def records(dataset: str) -> dict[str, dict]:
    """Returns file name -> committed record, of one dataset."""
    return {path.stem: read_json(path) for path in sorted(RECORDS.glob(f"{dataset}_*.json"))}


def blocks() -> dict[str, str]:
    """Returns name -> Markdown of every generated block."""
    mnist, cifar = records("mnist"), records("cifar10")
    content = {
        "mnist": games_table(list(mnist.values())),
        "commands": commands([*mnist.values(), *cifar.values()]),
    }
    if cifar:
        content["cifar10"] = games_table(list(cifar.values()))
    for name, record in mnist.items():
        if "rounds" in record:
            eta = record["config"]["eta"]
            content[f"rounds {name}"] = matrix_table(
                record["rounds"],
                lambda row, column, eta=eta: paper_figure("mnist", eta, row, column),
            )
    for name, (file, text) in {
        "train_step": ("train_step", _benchmark),
        "fused": ("fused_penalty", _fused),
        "every": ("penalty_every", every),
    }.items():
        path = BENCHMARKS / f"{file}.json"
        if path.exists():
            content[name] = text(read_json(path))
    return content


def _benchmark(record: dict) -> str:
    rows = [
        [
            row["game"],
            row["precision"],
            f"{row['loop_steps_per_s']:.1f}",
            f"{row['bare_steps_per_s']:.1f}",
            f"{row['ratio']:.3f}",
        ]
        for row in record["rows"]
    ]
    memory = record["memory"]
    table = markdown_table(["game", "precision", "loop, steps/s", "bare step", "ratio"], rows)
    return (
        f"{table}\n\nResident memory over {memory['steps']:,} steps of minimax_grad: "
        f"{memory['mib'][0]:.0f} MiB after a tenth of them, {memory['mib'][-1]:.0f} MiB at the end."
    )


def _fused(record: dict) -> str:
    header = ["eta", "penalty / gradient", "fused: error / gradient", "error / penalty", "cosine"]
    header += ["bfloat16: error / gradient", "both"]
    names = ("penalty_of_gradient", "of_gradient", "of_penalty", "cosine")
    names += ("bfloat16_of_gradient", "bfloat16_fused_of_gradient")
    lines = []
    for row in record["rows"]:
        cells = [
            spread_text([one[name] for one in row["batches"]], 4, statistics.median)
            for name in names
        ]
        lines.append([f"{row['eta']:g}", *cells])
    count = len(record["rows"][0]["batches"])
    return (
        f"{markdown_table(header, lines)}\n\nMedians [least, largest] of {count} batches of "
        f"{record['batch']} training images, on classifiers by `python -m mmtf.run "
        f"--game=minimax_grad --eta=ETA --penalty_every=1` at the end of their training. "
        f"{where(record)}."
    )


def every(record: dict) -> str:
    """Returns Markdown: held-out errors by radius and share of examples with the penalty.

    Args:
      record: as `benchmarks.penalty_every` writes it.
    """
    groups = {}
    for run in record["runs"]:
        groups.setdefault((run["eta"], run["every"]), []).append(run)
    lines = []
    for (eta, k), runs in sorted(groups.items()):
        errors = [
            spread_text([run[name]["error"] for run in runs], 4) for name in ("clean", "fgsm")
        ]
        errors.append(spread_text([run["pgd"]["error"] for run in runs], 3))
        seconds = spread_text([run["seconds"] for run in runs], 0)
        share = "all" if k == 1 else f"one in {k}"
        lines.append([f"{eta:g}", share, str(len(runs)), *errors, seconds])
    header = ["eta", "penalty on", "seeds", "no attack", "FGSM", "PGD-40", "s of training"]
    run = record["runs"][0]
    return (
        f"{markdown_table(header, lines)}\n\nMeans [least, largest] over seeds, after "
        f"{run['config']['schedule']['steps']:,} steps in {run['precision']} on all but "
        f"{record['held_out']:,} training images, of which {run['clean']['n']:,} (PGD-40 "
        f"{run['pgd']['n']:,}) are the n here. {where(record)}."
    )


def draw() -> None:
    """Draws test errors during training from the main record."""
    plt = plots.pyplot()
    record = read_json(RECORDS / f"{MAIN}.json")
    figure, axes = plt.subplots(figsize=(8, 4.2))
    for number, (attack, label) in enumerate(CURVES.items()):
        look = {"label": label, "number": number, "band": True}
        plots.error_curve(axes, record["curve"], attack, **look)
    config = record["config"]
    axes.set_xlabel(f"training step ({config['schedule']['batch_size']} images each)")
    axes.set_ylabel(plots.error_label(record["curve"]))
    axes.set_ylim(bottom=0)
    axes.set_title(
        f"Minimax-Grad on MNIST, {plots.radius_text(config['eta'])}; shaded: 95 % interval"
    )
    axes.legend()
    plots.save(figure, FIGURE)
    plt.close(figure)


@in_one_line("scripts.gradient_games")
def main(_: list[str]) -> None:
    """Rewrites the pages and draws the figure."""
    content = blocks()
    rewrite(PAGE, content)
    draw()
    print(f"drew {FIGURE.relative_to(ROOT)}")


if __name__ == "__main__":
    app.run(main)
