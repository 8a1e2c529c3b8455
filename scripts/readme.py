"""Renders README's table of four games from their committed records.

    python -m scripts.readme

Imports no TensorFlow.
"""

from absl import app

from mmtf.cli.errors import in_one_line
from mmtf.reports import read_json
from mmtf.reports.markdown import markdown_table
from scripts.blocks import DOCS, RESULTS, ROOT, rewrite

PAGES = (ROOT / "README.md", DOCS / "defenses.md")
RECORDS = {
    "undefended": "section3/mnist_undefended.json",
    "adv_pgd": "section3/mnist_adv_pgd.json",
    "minimax_grad": "section3/mnist_minimax_grad.json",
    "minimax_attnet": "section4/mnist_minimax_attnet.json",
}
COLUMNS = {"none": "clean images", "fgsm_curr": "FGSM", "pgd_curr": "PGD-40"}


def four_games() -> str:
    """Returns Markdown: accuracy and error of four games on clean images, under FGSM and PGD."""
    rows, sizes, commands = [], set(), set()
    for game, place in RECORDS.items():
        record = read_json(str(RESULTS / place))
        found = {result["attack"]: result for result in record["results"]}
        sizes |= {found[name]["n"] for name in COLUMNS}
        cells = [
            f"{100 - 100 * found[name]['error']:.2f}% ({100 * found[name]['error']:.2f}%)"
            for name in COLUMNS
        ]
        rows.append([f"`{game}`", *cells])
        command = " ".join(record["command"][1:])
        commands.add(f"python -m mmtf.run {command.replace(f'--game={game}', '--game=GAME')}")
    (n,), (command,) = sizes, commands
    table = markdown_table(["game", *COLUMNS.values()], rows)
    return (
        f"{table}\n\nAccuracy (error) on MNIST's {n:,} test images at eta 0.3 (eps 0.15). Attacks "
        "are computed against the classifier in the row; PGD-40 has two random restarts. "
        f"One seed; each row is a run of `{command}`."
    )


def blocks() -> dict[str, str]:
    """Returns name -> Markdown of every generated block."""
    return {"four games": four_games()}


@in_one_line("scripts.readme")
def main(_: list[str]) -> None:
    """Rewrites the block of both pages."""
    for page in PAGES:
        rewrite(page, blocks())


if __name__ == "__main__":
    app.run(main)
