"""The outputs of an evaluation: a record as plain data, text for the terminal, and files."""

import datetime
import glob
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from mmtf.data.dataset import Dataset
from mmtf.evaluation.images import shown_images
from mmtf.evaluation.payoff import Matrix
from mmtf.reports.errors import HEADING, error_text
from mmtf.reports.evaluation import evaluation_frame, evaluation_markdown, payoff_frame
from mmtf.reports.measured import record_radius
from mmtf.reports.page import evaluation_html
from mmtf.storage.digest import sha256
from mmtf.storage.files import write_atomically, write_json, write_text
from mmtf.storage.provenance import provenance


def evaluation_record(
    matrix: Matrix, dataset: Dataset, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Builds the content of record.json.

    Args:
      matrix: the measurements.
      dataset: the data on which they were made.
      settings: further entries, such as the options of the evaluation.

    Returns:
      Plain JSON data; `class_names` only for a dataset that has them.
    """
    names = getattr(dataset, "class_names", ())
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "dataset": dataset.name,
        "note": dataset.note,
        **({"class_names": [str(name) for name in names]} if names else {}),
        "preprocess": getattr(dataset.preprocess, "__name__", repr(dataset.preprocess)),
        "n": matrix.cells[0].n,
        **settings,
        "cells": [one.to_dict() for one in matrix.cells],
        "signs": [
            {"defense": one.defense, "check": one.check, "value": one.value, "text": str(one)}
            for one in matrix.findings
        ],
        "comparisons": {str(eta): tests for eta, tests in matrix.comparisons.items() if tests},
        **provenance(),
    }


def evaluation_text(record: dict[str, Any]) -> str:
    """Formats a record as text: a table per radius, paired tests, signs of masked gradients."""
    lines = []
    note = f" ({record['note']})" if record["note"] else ""
    for eta in record["etas"]:
        radius = record_radius(record, eta)
        where = f"{record['dataset']}{note}, {record['norm']}, {radius}, n = {record['n']:,}"
        lines.append(f"\n{where}: {HEADING} [95 % interval of the error]")
        lines.append(payoff_frame(record, eta).to_string())
        for test in record["comparisons"].get(str(eta), []):
            lines.append(
                f"{test['a']} against {test['b']} under worst: "
                f"{error_text(test['error_a'])}, {error_text(test['error_b'])}, "
                f"McNemar p {test['p']:.2g}, Holm {test['p_holm']:.2g}"
            )
    lines += [f"! {sign['text']}" for sign in record["signs"]]
    if not record["signs"]:
        lines.append("Checks: no sign of masked gradients.")
    return "\n".join(lines)


def model_source(path: str) -> dict[str, str]:
    """Where a model came from: its path as given, and a hash of its files.

    Args:
      path: of `mmtf.classifiers.loading.load_classifier`.

    Returns:
      `path` and `sha256`: of the .keras file; of a SavedModel that of saved_model.pb and the files
      of its variables one after the other.
    """
    folder = os.path.expanduser(path).rstrip("/")
    inside = os.path.join(folder, "classifier.keras")
    if os.path.isfile(inside):
        files = [inside]
    elif os.path.isfile(folder):
        files = [folder]
    else:
        files = [os.path.join(folder, "saved_model.pb")]
        files += sorted(glob.glob(os.path.join(glob.escape(folder), "variables", "*")))
    contents = []
    for name in files:
        with open(name, "rb") as source:
            contents.append(source.read())
    return {"path": path, "sha256": sha256(*contents)}


def write_report(
    folder: str,
    record: dict[str, Any],
    matrix: Matrix,
    dataset: Dataset,
    classifiers: Mapping[str, Any],
) -> list[str]:
    """Writes the report of an evaluation into `folder`.

    Args:
      folder: an existing folder.
      record: of `evaluation_record`.
      matrix: the measurements, for the outcome of each example and the images.
      dataset: the data that was measured.
      classifiers: name -> the model that was measured.

    Returns:
      The names of the files: tables as CSV, Markdown and HTML, the record, the images of the page,
      and an .npz with the outcome of each example.
    """
    arrays: dict[str, Any] = {}
    for cell in matrix.cells:
        key = f"{cell.defense}/{cell.attack}/{cell.eta}"
        arrays[f"{key}/wrong"] = cell.wrong
        for part in ("distance", "targets", "reached"):
            if getattr(cell, part) is not None:
                arrays[f"{key}/{part}"] = getattr(cell, part)
    write_json(os.path.join(folder, "record.json"), record)
    write_atomically(
        os.path.join(folder, "examples.npz"), lambda path: np.savez_compressed(path, **arrays)
    )
    write_text(os.path.join(folder, "table.csv"), evaluation_frame(record).to_csv(index=False))
    write_text(os.path.join(folder, "table.md"), evaluation_markdown(record))
    images = shown_images(matrix, classifiers, dataset)
    write_json(os.path.join(folder, "images.json"), images)
    write_text(os.path.join(folder, "report.html"), evaluation_html(record, images))
    return ["table.csv", "table.md", "report.html", "record.json", "images.json", "examples.npz"]
