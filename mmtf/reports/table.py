"""The tables that a run prints at its end, as DataFrames of text."""

import pandas as pd

from mmtf.reports.errors import HEADING, error_text
from mmtf.reports.paper import paper_figure


def result_table(results: list[dict]) -> pd.DataFrame:
    """One row per attack: error, robust accuracy, interval, n, and the paper's error if it has any.

    Args:
      results: dicts with the keys attack, error, ci_low, ci_high, n and, optionally, paper, as in
        `results` of a record.json. Errors are in [0, 1].
    """
    rows = [
        {
            "attack": one["attack"],
            HEADING: error_text(one["error"]),
            "95% interval": f"[{one['ci_low']:.4f}, {one['ci_high']:.4f}]",
            "n": one["n"],
            "paper": "" if one.get("paper") is None else f"{one['paper']:.3f}",
        }
        for one in results
    ]
    columns = ["attack", HEADING, "95% interval", "n"]
    reported = any(row["paper"] for row in rows)
    return pd.DataFrame(rows, columns=[*columns, "paper"] if reported else columns)


def rounds_table(cells: list[dict], dataset: str, eta: float) -> pd.DataFrame:
    """Errors and robust accuracies of defenses (rows) under attacks (columns).

    A cell also has the paper's error, if the paper reports one.

    Args:
      cells: dicts with the keys defense, attack and error, as in `rounds` of a record.json.
      dataset, eta: the dataset and the radius of the run, to look up the paper's error.
    """
    rows: dict[str, dict[str, str]] = {}
    for cell in cells:
        reported = paper_figure(dataset, eta, cell["defense"], cell["attack"])
        text = error_text(cell["error"]) + ("" if reported is None else f" paper {reported:.3f}")
        rows.setdefault(cell["defense"], {})[cell["attack"]] = text
    return pd.DataFrame.from_dict(rows, orient="index")


def risk_table(report: dict) -> pd.DataFrame:
    """One row per pair of players: mean risk, test error and robust accuracy.

    Args:
      report: `exploitability` of a record.json.
    """
    rows = [
        {"pair": name, "risk": f"{value:.4f}", HEADING: error_text(report["errors"][name])}
        for name, value in report["risks"].items()
    ]
    return pd.DataFrame(rows)


def lemma_table(report: dict) -> pd.DataFrame:
    """The exploitability of each player, their sum, and the five inequalities of Lemma 1.

    Args:
      report: `exploitability` of a record.json.
    """
    names = {"defender": "exploitability of u", "attacker": "exploitability of v", "gap": "sum"}
    rows = [{"claim": title, **report[key], "verdict": ""} for key, title in names.items()]
    rows += [{**one, "claim": f"{i}. {one['claim']}"} for i, one in enumerate(report["lemma"], 1)]
    return pd.DataFrame(
        [
            {
                "quantity or claim": row["claim"],
                "difference": f"{row['mean']:+.4f}",
                "95% interval": f"[{row['low']:+.4f}, {row['high']:+.4f}]",
                "verdict": row["verdict"],
            }
            for row in rows
        ]
    )
