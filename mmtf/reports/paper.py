"""The test errors in the paper's tables, as printed there."""

import csv
import functools
import importlib.resources
from typing import Any

# Names of games in `mmtf.games` -> names in paper_tables.csv, where they differ.
_DEFENSES = {"undefended": "no_defense"}


def paper_figure(
    dataset: str, eta: Any, defense: str, attack: str, table: int | None = None
) -> float | None:
    """The error that the paper reports, or None where it has no such cell.

    Tables 4 and 5 repeat the column `worst` of Table 3 as FGSM-curr.

    Args:
      dataset: `mnist` or `cifar10`.
      eta: the radius; no array has a cell. Without effect for the undefended net's clean error.
      defense: a game of `mmtf.games`, or `adv_fgsm80` and the like.
      attack: `none`, `fgsm_curr`, `fgsm1`, `attnet_curr`, `worst` and the like.
      table: the table's number; None: the first table that has the cell.

    Example:
      >>> paper_figure("mnist", 0.3, "minimax_grad", "fgsm_curr")
      0.036
      >>> paper_figure("mnist", 0.3, "minimax_grad", "fgsm_curr", table=4)
      0.144
    """
    defense = _DEFENSES.get(defense, defense)
    for row in _rows():
        same = (row["dataset"], row["defense"], row["attack"]) == (dataset, defense, attack)
        same = same and table in (None, int(row["table"]))
        known = isinstance(eta, float | int)
        if same and (not row["eta"] or (known and abs(float(row["eta"]) - eta) < 1e-9)):
            return float(row["error"])
    return None


def paper_rows(table: int) -> list[dict]:
    """The cells of one of the paper's tables, in the order of the paper.

    Args:
      table: number of the table.

    Returns:
      Dicts with the keys dataset, table, eta (None for errors that do not depend on it), defense,
      attack and error.

    Example:
      >>> paper_rows(1)[0]["error"], paper_rows(1)[0]["eta"]
      (0.026, None)
    """
    return [
        {**row, "eta": float(row["eta"]) if row["eta"] else None, "error": float(row["error"])}
        for row in _rows()
        if int(row["table"]) == table
    ]


@functools.cache
def _rows() -> tuple[dict, ...]:
    source = importlib.resources.files("mmtf.reports") / "paper_tables.csv"
    with source.open(encoding="utf-8") as lines:
        return tuple(sorted(csv.DictReader(lines), key=lambda row: int(row["table"])))
