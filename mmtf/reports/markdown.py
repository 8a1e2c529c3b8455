"""Markdown tables of measured errors, with the paper's in parentheses."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from mmtf.radius import radius_text


def markdown_table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table in GitHub's syntax.

    Args:
      header: texts of the columns.
      rows: texts of the cells, as many in each row as in the header.

    Example:
      >>> print(markdown_table(["attack", "error"], [["fgsm", "0.1"]]))
      | attack | error |
      | --- | --- |
      | fgsm | 0.1 |
    """
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


TITLES = {
    "none": "no attack",
    "fgsm_curr": "FGSM",
    "ifgsm_curr": "IFGSM",
    "pgd_curr": "PGD-40",
    "attnet_curr": "AttNet, strongest",
    "attnet_paper_curr": "AttNet, paper's",
    "attnet_met": "AttNet met",
}
GRADIENT_ATTACKS = ("none", "fgsm_curr", "ifgsm_curr", "pgd_curr")


def games_table(records: list[dict[str, Any]], attacks: Sequence[str] = GRADIENT_ATTACKS) -> str:
    """A row for each run: the error with its 95 % interval, then the paper's error if it has one.

    Args:
      records: contents of the record.json of runs on one dataset at one eta.
      attacks: names of the attacks in the columns. The cell of an attack that a run did not measure
        is empty.
    """
    header = ["game", "eta", "n", *(TITLES.get(a, a) for a in attacks), "steps", "train s"]
    rows = []
    for record in records:
        cells = {one["attack"]: one for one in record["results"]}
        config = record["config"]
        rows.append(
            [
                _name(config),
                radius_text(config["eta"]),
                f"{cells['none']['n']:,}",
                *(_cell(cells.get(attack), config) for attack in attacks),
                f"{record['training']['steps']:,}",
                f"{record['training']['seconds']:.0f}",
            ]
        )
    return markdown_table(header, rows)


def matrix_table(cells: list[dict[str, Any]], reported: Callable[[str, str], float | None]) -> str:
    """Errors of defenses (rows) under attacks (columns), the paper's in parentheses.

    Args:
      cells: dicts with the keys defense, attack and error, one for each pair, as in `rounds` of a
        record.json.
      reported: function (defense, attack) -> the error that the paper reports, or None.
    """
    defenses = list(dict.fromkeys(cell["defense"] for cell in cells))
    attacks = list(dict.fromkeys(cell["attack"] for cell in cells))
    found = {(cell["defense"], cell["attack"]): cell["error"] for cell in cells}
    rows = []
    for defense in defenses:
        row = [defense]
        for attack in attacks:
            paper = reported(defense, attack)
            row.append(f"{found[defense, attack]:.4f}" + (f" ({paper:.3f})" if paper else ""))
        rows.append(row)
    return markdown_table(["defense", *attacks], rows)


def replace_block(text: str, name: str, content: str) -> str:
    """Replaces the lines between `<!-- name -->` and `<!-- /name -->` in `text` by `content`.

    Raises:
      ValueError: there is no such block.

    Example:
      >>> replace_block("<!-- n -->\\nold\\n<!-- /n -->", "n", "new")
      '<!-- n -->\\nnew\\n<!-- /n -->'
    """
    pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"Expected a block <!-- {name} --> ... <!-- /{name} -->. Received: none.")
    return pattern.sub(lambda match: f"{match[1]}{content}\n{match[2]}", text)


def _name(config):
    parts = [config["game"]]
    if config["game_options"].get("penalty", "nested") != "nested":
        parts.append(config["game_options"]["penalty"])
    every = config["game_options"].get("penalty_every", 1)
    if every > 1:
        parts.append(f"penalty on one example in {every}")
    elif config["game"] == "minimax_grad" and len(parts) == 1:
        parts.append("penalty on all examples")
    if "solver" in config["game_options"]:
        parts.append(f"{config['game_options']['net']} attacker")
    if config["game_options"].get("rounds"):
        parts.append(f"{config['game_options']['rounds']} rounds")
    if config.get("awp_gamma"):
        parts.append(f"AWP with gamma {config['awp_gamma']:g}")
    if config["net_options"].get("init", "keras") != "keras":
        parts.append(f"{config['net_options']['init']} initializer")
    return ", ".join(parts)


def _cell(result, config):
    if result is None:
        return ""
    measured = f"{result['error']:.4f} [{result['ci_low']:.4f}, {result['ci_high']:.4f}]"
    # Some records have the paper's error beside a network or a penalty that is not the paper's.
    other = result["attack"] == "attnet_curr"
    other = other or config["game_options"].get("penalty") == "finite_difference"
    paper = None if other else result.get("paper")
    return measured + (f" ({paper:.3f})" if paper is not None else "")
