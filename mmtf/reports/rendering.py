"""Renders the HTML report of an evaluation again from its record."""

import os
from typing import Any

from mmtf.errors import require
from mmtf.reports.page import evaluation_html
from mmtf.storage.files import read_json, write_text

NEEDED = ("dataset", "n", "norm", "etas", "attacks", "cells", "signs", "comparisons")


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
      >>> write_html("report/record.json")  # doctest: +SKIP
      'report/report.html'
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
    missing = [name for name in NEEDED if name not in record]
    require(not missing, expected, f"no entry {', '.join(missing)}")
    require(bool(record["cells"]), expected, "no cells")
