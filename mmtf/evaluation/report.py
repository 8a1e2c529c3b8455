"""What an evaluation leaves: its record as plain data, its lines for the terminal, its files."""

import os
from typing import Any

import numpy as np
import tensorflow as tf

from mmtf.data.dataset import Dataset
from mmtf.evaluation.matrix import Matrix
from mmtf.reports.evaluation import (
    evaluation_frame,
    evaluation_html,
    evaluation_markdown,
    payoff_frame,
)
from mmtf.storage.files import write_atomically, write_json
from mmtf.storage.provenance import provenance


def evaluation_record(matrix: Matrix, dataset: Dataset, settings: dict) -> dict:
    """The record.json of a matrix; `settings`: what else it should say of how it was made."""
    return {
        "dataset": dataset.name,
        "note": dataset.note,
        "preprocess": getattr(dataset.preprocess, "__name__", repr(dataset.preprocess)),
        "n": len(matrix.cells[0].wrong),
        **settings,
        "cells": [one.to_dict() for one in matrix.cells],
        "signs": [
            {"defense": one.defense, "check": one.check, "text": str(one)} for one in matrix.signs
        ],
        "comparisons": {str(eta): tests for eta, tests in matrix.comparisons.items() if tests},
        **provenance(),
    }


def evaluation_text(record: dict) -> str:
    """A table for every radius, the paired tests, and the signs of attacks that fail."""
    lines = []
    note = f" ({record['note']})" if record["note"] else ""
    for eta in record["etas"]:
        where = f"{record['dataset']}{note}, {record['norm']}, eta {eta:g}, n = {record['n']:,}"
        lines += [f"\n{where}: test error", payoff_frame(record, eta).to_string()]
        for test in record["comparisons"].get(str(eta), []):
            lines.append(
                f"{test['a']} against {test['b']} under worst: {test['error_a']:.4f}, "
                f"{test['error_b']:.4f}, McNemar p {test['p']:.2g}, Holm {test['p_holm']:.2g}"
            )
    lines += [f"! {sign['text']}" for sign in record["signs"]]
    if not record["signs"]:
        lines.append("Checks: no sign of masked gradients.")
    return "\n".join(lines)


def write_report(folder: str, record: dict, matrix: Matrix) -> list[str]:
    """Record, CSV, Markdown, HTML and every example's outcome; the names of the files."""
    arrays: dict[str, Any] = {}
    galleries = {}
    for cell in matrix.cells:
        key = f"{cell.defense}/{cell.attack}/{cell.eta}"
        arrays[f"{key}/wrong"] = cell.wrong
        arrays[f"{key}/distance"] = cell.distance
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
        write_atomically(
            os.path.join(folder, name), lambda path, text=text: _write_text(path, text)
        )
    return [*texts, "record.json", "examples.npz"]


def _write_text(path, text):
    with open(path, "w") as target:
        target.write(text)
