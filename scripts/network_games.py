"""Renders the tables and figures of section 4's games from their committed records.

    python -m scripts.network_games

Reads results/section4/*.json; rewrites the marked blocks of docs/network_games.md and
docs/attack_networks.md, docs/figures/convergence.png and docs/figures/transfer.png. Imports no
TensorFlow.
"""

import os
from typing import Any

from absl import app

from mmtf.cli.errors import in_one_line
from mmtf.reports import lemma_table, plots, read_json, risk_table
from mmtf.reports.heat_map import heat_map
from mmtf.reports.markdown import games_table, markdown_table, matrix_table
from scripts.blocks import DOCS, FIGURES, RESULTS, commands, error_text, rewrite, where
from scripts.paper.figures import draw_game
from scripts.paper.selection import NETWORK_GAMES

RECORDS = RESULTS / "section4"
PAGES = [DOCS / "network_games.md", DOCS / "attack_networks.md"]
ATTACKS = ("none", "fgsm_curr", "pgd_curr", "attnet_paper_curr", "attnet_curr", "attnet_met")
# Attacks and architectures of the transfer matrix, as its heat map names them.
ARCHITECTURES = {"none": "no attack", "fgsm": "FGSM", "mlp": "MLP", "conv": "convolutional"}
ARCHITECTURES |= {"mlp, no label": "MLP, no label", "unet": "U-Net"}


def blocks() -> dict[str, str]:
    """Returns name -> Markdown of every generated block whose record exists."""
    games = {path.stem: read_json(path) for path in sorted(RECORDS.glob("mnist_*.json"))}
    content = {
        "network games": games_table(list(games.values()), ATTACKS),
        "network commands": commands(list(games.values())),
    }
    for name, record in games.items():
        if "exploitability" in record:
            report = record["exploitability"]
            tables = [_markdown(risk_table(report)), _markdown(lemma_table(report))]
            content[f"lemma {name}"] = "\n\n".join([*tables, f"n = {report['n']:,}."])
    transfer = RECORDS / "transfer.json"
    if transfer.exists():
        record = read_json(transfer)
        content["transfer"] = (
            f"{matrix_table(record['cells'], lambda *unused: None)}\n\nn = "
            f"{record['cells'][0]['n']:,}, {where(record)}."
        )
    hardened = [read_json(path) for path in sorted(RECORDS.glob("hardened_*.json"))]
    if hardened:
        columns = [name for name in ATTACKS if name != "attnet_met"]
        content["hardened"] = f"{games_table(hardened, columns)}\n\n{commands(hardened)}"
    study = RECORDS / "attack_networks.json"
    if study.exists():
        content["study"] = _study(read_json(study))
    return content


def _markdown(frame: Any) -> str:
    return markdown_table(list(frame.columns), frame.astype(str).values.tolist())


def _study(record: dict) -> str:
    first = record["cells"][0]
    shown = [one for one in record["cells"] if one["eta"] == first["eta"]]
    cells = {(one["classifier"], one["recipe"]): one for one in shown}
    classifiers = list(dict.fromkeys(one["classifier"] for one in shown))
    recipes = list(dict.fromkeys(one["recipe"] for one in shown))
    header = ["recipe"]
    for name in classifiers:
        header += [f"{name}: held out", f"{name}: test", "s"]
    rows = []
    for recipe in recipes:
        row = [recipe]
        for name in classifiers:
            cell = cells.get((name, recipe))
            if cell is None:
                row += ["", "", ""]
                continue
            test = cell["test"]
            row += [
                f"{cell['held_out']['error']:.4f}",
                error_text(test),
                f"{cell['seconds']:.0f}" if "seconds" in cell else "",
            ]
        rows.append(row)
    return (
        f"{markdown_table(header, rows)}\n\neta {first['eta']:g}; held out: n = "
        f"{first['held_out']['n']:,}, test: n = {first['test']['n']:,}. {where(record)}."
    )


def draw() -> None:
    """Draws the games' test errors during training, and the transfer matrix as a heat map."""
    plt = plots.pyplot()
    figure, axes = plt.subplots(figsize=(8, 5))
    for game in NETWORK_GAMES:
        record = read_json(RECORDS / f"mnist_{game}.json")
        draw_game(axes, record["curve"], game, alone=False)
    plots.error_axis(axes, log=True)
    config = record["config"]
    axes.set_xlabel(f"training step ({config['schedule']['batch_size']} images each)")
    axes.set_ylabel(plots.error_label(record["curve"]))
    axes.set_title(f"Attack-network games on MNIST, {plots.radius_text(config['eta'])}")
    plots.legend_below(figure)
    plots.save(figure, FIGURES / "convergence.png")
    plt.close(figure)
    draw_transfer(read_json(RECORDS / "transfer.json"), FIGURES / "transfer.png")


def draw_transfer(record: dict, path: str | os.PathLike) -> None:
    """Draws the matrix of architectures as a heat map.

    Args:
      record: as `scripts.attacker_transfer` writes it.
      path: .png or .svg.
    """
    cells = [
        {**one, **{key: ARCHITECTURES.get(one[key], one[key]) for key in ("defense", "attack")}}
        for one in record["cells"]
    ]
    radius = plots.radius_text(record["eta"], record["dataset"])
    title = f"Robustness across attack-network architectures, {radius}, n = {cells[0]['n']:,}"
    columns = "attack, or architecture of the attack network"
    heat_map(cells, str(path), columns, "trained against", title)


@in_one_line("scripts.network_games")
def main(_: list[str]) -> None:
    """Rewrites the pages and draws the figures."""
    content = blocks()
    for page in PAGES:
        rewrite(page, content)
    draw()


if __name__ == "__main__":
    app.run(main)
