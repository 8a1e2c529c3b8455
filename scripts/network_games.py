"""Renders the tables and figures of section 4's games from their committed records.

    python -m scripts.network_games

Reads results/section4/*.json; rewrites the marked blocks of README.md, docs/network_games.md and
docs/attack_networks.md, docs/figures/convergence.png and docs/figures/transfer.png. Needs no
TensorFlow.
"""

import pathlib

from absl import app

from mmtf.reports import lemma_table, read_json, risk_table
from mmtf.reports.heat_map import heat_map
from mmtf.reports.markdown import games_table, markdown_table, matrix_table, replace_block
from scripts.gradient_games import command, where

ROOT = pathlib.Path(__file__).resolve().parents[1]
RECORDS = ROOT / "results" / "section4"
PAGES = [ROOT / "README.md", ROOT / "docs" / "network_games.md", ROOT / "docs/attack_networks.md"]
FIGURES = ROOT / "docs" / "figures"
ATTACKS = ("none", "fgsm_curr", "pgd_curr", "attnet_paper_curr", "attnet_curr", "attnet_met")
GAMES = {
    "mnist_minimax_attnet": "Minimax-AttNet",
    "mnist_alt_attnet": "Alt-AttNet",
    "mnist_maximin_attnet": "Maximin-AttNet",
}


def blocks() -> dict[str, str]:
    """The content of every generated block by its name, of the records that are there."""
    games = {path.stem: read_json(path) for path in sorted(RECORDS.glob("mnist_*.json"))}
    content = {
        "network games": games_table(list(games.values()), ATTACKS),
        "network commands": "\n".join(
            f"- `{command(record)}`: {where(record)}" for record in games.values()
        ),
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
        made = "\n".join(f"- `{command(record)}`: {where(record)}" for record in hardened)
        content["hardened"] = f"{games_table(hardened, columns)}\n\n{made}"
    study = RECORDS / "attack_networks.json"
    if study.exists():
        content["study"] = _study(read_json(study))
    return content


def _markdown(frame):
    return markdown_table(list(frame.columns), frame.astype(str).values.tolist())


def _study(record):
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
                f"{test['error']:.4f} [{test['ci_low']:.4f}, {test['ci_high']:.4f}]",
                f"{cell['seconds']:.0f}" if "seconds" in cell else "",
            ]
        rows.append(row)
    return (
        f"{markdown_table(header, rows)}\n\neta {first['eta']:g}; held out: n = "
        f"{first['held_out']['n']:,}, test: n = {first['test']['n']:,}. {where(record)}."
    )


def draw() -> None:
    """Figure 2's curves, and the transfer matrix as a heat map."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
    for name, label in GAMES.items():
        if not (RECORDS / f"{name}.json").exists():
            continue
        record = read_json(RECORDS / f"{name}.json")
        points = [point for point in record["curve"] if point["step"] > 0]
        steps = [point["step"] for point in points]
        (line,) = axes.plot(steps, [p["attnet_met"] for p in points], "o-", ms=3, label=label)
        axes.plot(steps, [p["fgsm_curr"] for p in points], ":", color=line.get_color())
    axes.set_xlabel("training step")
    axes.set_ylabel(f"test error, n = {points[0]['n']}")
    axes.set_yscale("symlog", linthresh=2e-3)
    axes.set_ylim(0, 1)
    axes.set_title("Against the attacker in training (dotted: FGSM)", fontsize=10)
    figure.legend(loc="outside right center", frameon=False)
    axes.grid(alpha=0.3)
    figure.savefig(FIGURES / "convergence.png", dpi=150)
    plt.close(figure)
    if (RECORDS / "transfer.json").exists():
        cells = read_json(RECORDS / "transfer.json")["cells"]
        heat_map(cells, str(FIGURES / "transfer.png"), "attacker", "defense trained against")


def rendered(path: pathlib.Path, content: dict[str, str]) -> str:
    """The text of `path` with its blocks as the records have them."""
    text = path.read_text()
    for name, block in content.items():
        if f"<!-- {name} -->" in text:
            text = replace_block(text, name, block)
    return text


def main(argv):
    content = blocks()
    for path in PAGES:
        path.write_text(rendered(path, content))
        print(f"rendered {path.relative_to(ROOT)}")
    draw()


if __name__ == "__main__":
    app.run(main)
