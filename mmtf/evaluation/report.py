"""The outputs of an evaluation: a record as plain data, text for the terminal, and files."""

import functools
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from mmtf.data.dataset import Dataset
from mmtf.evaluation.payoff import Matrix
from mmtf.reports.errors import HEADING, error_text
from mmtf.reports.evaluation import (
    evaluation_frame,
    evaluation_html,
    evaluation_markdown,
    payoff_frame,
    record_radius,
)
from mmtf.storage.files import write_atomically, write_json
from mmtf.storage.provenance import provenance


def evaluation_record(
    matrix: Matrix, dataset: Dataset, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Builds the content of record.json.

    Args:
      matrix: the measurements.
      dataset: the data on which they were made.
      settings: further entries, such as the options of the evaluation.
    """
    return {
        "dataset": dataset.name,
        "note": dataset.note,
        **({"class_names": list(dataset.class_names)} if dataset.class_names else {}),
        "preprocess": getattr(dataset.preprocess, "__name__", repr(dataset.preprocess)),
        "n": matrix.cells[0].n,
        **settings,
        "cells": [one.to_dict() for one in matrix.cells],
        "signs": [
            {"defense": one.defense, "check": one.check, "text": str(one)}
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


def write_report(folder: str, record: dict[str, Any], matrix: Matrix) -> list[str]:
    """Writes the report of an evaluation into `folder`.

    Args:
      folder: an existing folder.
      record: of `evaluation_record`.
      matrix: the measurements, for the outcome of each example and the images.

    Returns:
      The names of the files: tables as CSV, Markdown and HTML, the record, and an .npz with the
      outcome of each example.
    """
    arrays: dict[str, Any] = {}
    galleries = {}
    for cell in matrix.cells:
        key = f"{cell.defense}/{cell.attack}/{cell.eta}"
        arrays[f"{key}/wrong"] = cell.wrong
        for part in ("distance", "targets", "reached"):
            if getattr(cell, part) is not None:
                arrays[f"{key}/{part}"] = getattr(cell, part)
        if len(cell.images):
            pixels = tf.cast(tf.round((cell.images + 1.0) * 127.5), tf.uint8)
            galleries[key] = [tf.io.encode_png(one).numpy() for one in pixels]
    write_json(os.path.join(folder, "record.json"), record)
    write_atomically(
        os.path.join(folder, "examples.npz"), lambda path: np.savez_compressed(path, **arrays)
    )
    texts = {
        "table.csv": evaluation_frame(record).to_csv(index=False),
        "table.md": evaluation_markdown(record),
        "report.html": evaluation_html(record, galleries),
    }
    for name, text in texts.items():
        write_atomically(os.path.join(folder, name), functools.partial(_write_text, text=text))
    return [*texts, "record.json", "examples.npz"]


def _write_text(path, text):
    with open(path, "w") as target:
        target.write(text)
