"""The table at the end of a run."""

import pandas as pd

from mmtf.reports.errors import HEADING, error_text
from mmtf.reports.paper import paper_figure


def result_table(results: list[dict]) -> pd.DataFrame:
    """One row per attack: error, robust accuracy, interval, n, and the paper's error if it has any.

    Args:
      results: as in record.json: dicts with attack, error, ci_low, ci_high, n and, optionally,
        paper.
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
    """Defenses x attacks: `error (robust accuracy)`, then the paper's error where it has the cell.

    Args:
      cells: dicts with defense, attack, error, as in record.json's `rounds`.
      dataset, eta: of the run.
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
    """What each player and both lose to best responses, then Lemma 1's five inequalities.

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
