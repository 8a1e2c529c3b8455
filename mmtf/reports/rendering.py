"""Renders the HTML report of an evaluation again from its record."""

import os
from typing import Any

from mmtf.errors import require
from mmtf.reports.measured import WORST
from mmtf.reports.page import evaluation_html
from mmtf.storage.files import read_json, write_text

NEEDED = {
    "dataset": str,
    "n": int,
    "norm": str,
    "etas": list,
    "attacks": dict,
    "cells": list,
    "signs": list,
    "comparisons": dict,
}


def write_html(record_path: str, output: str | None = None) -> str:
    """Writes the HTML report of a record, with the images of images.json beside it.

    Args:
      record_path: record.json of `python -m mmtf.evaluate --output`, or its folder.
      output: path of the page; None: report.html beside the record.

    Returns:
      The path of the page.

    Raises:
      ConfigError: the file is not the record of an evaluation.
      OSError: it cannot be read, or the page not written.

    Example:
      >>> import tempfile
      >>> from mmtf.storage.files import write_json
      >>> cell = {"defense": "net", "attack": "worst", "eta": 0.3, "n": 100}
      >>> cell |= {"error": 0.5, "ci_low": 0.4038, "ci_high": 0.5962}
      >>> record = {"dataset": "digits", "n": 100, "norm": "linf", "etas": [0.3], "attacks": {}}
      >>> record |= {"cells": [cell], "signs": [], "comparisons": {}}
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     write_json(f"{folder}/record.json", record)
      ...     os.path.basename(write_html(f"{folder}/record.json"))
      'report.html'
    """
    if os.path.isdir(record_path):
        record_path = os.path.join(record_path, "record.json")
    folder = os.path.dirname(record_path)
    record = read_json(record_path)
    require_evaluation(record, record_path)
    kept = os.path.join(folder, "images.json")
    images = read_json(kept) if os.path.exists(kept) else None
    path = output or os.path.join(folder, "report.html")
    write_text(path, evaluation_html(record, images))
    return path


def require_evaluation(record: Any, path: str) -> None:
    """Raises ConfigError unless `record`, read from `path`, is one of `python -m mmtf.evaluate`."""
    expected = f"the record.json of mmtf.evaluate --output in {path}"
    require(isinstance(record, dict), expected, type(record).__name__)
    for name, kind in NEEDED.items():
        require(isinstance(record.get(name), kind), f"{expected}, with {name}", record.get(name))
    require(bool(record["cells"]), f"{expected}, with cells", "none")
    for cell in record["cells"]:
        require(isinstance(cell, dict) and _is_cell(cell), f"{expected}, with whole cells", cell)
    etas = {one["eta"] for one in record["cells"]}
    require(etas <= set(record["etas"]), f"{expected}, with all radii in etas", record["etas"])
    places = {(one["defense"], one["eta"]) for one in record["cells"]}
    worst = {(one["defense"], one["eta"]) for one in record["cells"] if one["attack"] == WORST}
    require(places == worst, f"{expected}, with a worst case each", len(places - worst))
    for sign in record["signs"]:
        whole = isinstance(sign, dict) and {"defense", "check", "text"} <= set(sign)
        require(whole, f"{expected}, with whole signs", sign)


def _is_cell(cell: dict[str, Any]) -> bool:
    shares = [cell.get(name) for name in ("error", "ci_low", "ci_high")]
    return (
        all(isinstance(cell.get(name), str) for name in ("defense", "attack"))
        and all(isinstance(one, int | float) and 0 <= one <= 1 for one in shares)
        and isinstance(cell.get("n"), int)
        and isinstance(cell.get("eta"), int | float | str)
    )
