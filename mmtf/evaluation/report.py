"""The outputs of an evaluation: a record as plain data, text for the terminal, and files."""

import datetime
import glob
import os
import pathlib
import sys
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from mmtf.bounds.certificates import Certificates
from mmtf.classifiers.guarded_files import guard_files
from mmtf.data.dataset import Dataset
from mmtf.errors import ConfigError
from mmtf.evaluation.images import shown_images
from mmtf.evaluation.payoff import Matrix
from mmtf.reports.band import band_png, band_series, band_title
from mmtf.reports.certified import bracket_lines, radius_lines
from mmtf.reports.errors import HEADING, error_text
from mmtf.reports.evaluation import evaluation_frame, evaluation_markdown, payoff_frame
from mmtf.reports.measured import CERTIFIED, record_radius
from mmtf.reports.page import evaluation_html
from mmtf.reports.rejection import rejection_lines
from mmtf.reports.smoothed import smoothed_lines
from mmtf.stats.intervals import wilson
from mmtf.storage.digest import sha256
from mmtf.storage.files import write_atomically, write_json, write_text
from mmtf.storage.provenance import provenance
from mmtf.training.logs import log_figures

BAND = "brackets.png"


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
        **(_certified(matrix) if matrix.certificates else {}),
        "signs": [
            {"defense": one.defense, "check": one.check, "value": one.value, "text": str(one)}
            for one in matrix.findings
        ],
        "comparisons": {str(eta): tests for eta, tests in matrix.comparisons.items() if tests},
        **provenance(),
    }


def _certified(matrix: Matrix) -> dict[str, Any]:
    """The entries of a record on what was proved."""
    found: dict[str, Any] = {
        "certified": [
            {"defense": defense, "eta": eta, **_bracket(one)}
            for (defense, eta), one in matrix.certificates.items()
        ]
    }
    if matrix.certified_parts:
        found["certified_parts"] = [
            {"defense": defense, "column": column, "eta": eta, **_bracket(one)}
            for (defense, column, eta), one in matrix.certified_parts.items()
        ]
    if matrix.certified_radii:
        found["certified_radius"] = [
            {"defense": defense, **one.to_dict()} for defense, one in matrix.certified_radii.items()
        ]
    return found


def _bracket(one: Certificates) -> dict[str, Any]:
    """A bracket with Wilson's 95 % intervals of both ends."""
    told = one.to_dict()
    for end in ("worst", "certified"):
        told[f"{end}_interval"] = list(wilson(round(told[end] * one.n), one.n))
    return told


def evaluation_text(record: dict[str, Any]) -> str:
    """Formats a record as text: a table per radius, paired tests, signs of masked gradients."""
    lines = []
    note = f" ({record['note']})" if record["note"] else ""
    for eta in record["etas"]:
        radius = record_radius(record, eta)
        where = f"{record['dataset']}{note}, {record['norm']}, {radius}, n = {record['n']:,}"
        lines.append(f"\n{where}: {HEADING} [95 % interval of the error]")
        lines.append(payoff_frame(record, eta).to_string())
        lines += bracket_lines(record, eta) + rejection_lines(record, eta)
        for test in record["comparisons"].get(str(eta), []):
            lines.append(
                f"{test['a']} against {test['b']} under worst: "
                f"{error_text(test['error_a'])}, {error_text(test['error_b'])}, "
                f"McNemar p {test['p']:.2g}, Holm {test['p_holm']:.2g}"
            )
    lines += radius_lines(record) + smoothed_lines(record)
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
        files = [inside, *guard_files(folder)]
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
    arrays |= certified_arrays(matrix) | matrix.further
    write_json(os.path.join(folder, "record.json"), record)
    write_atomically(
        os.path.join(folder, "examples.npz"), lambda path: np.savez_compressed(path, **arrays)
    )
    write_text(os.path.join(folder, "table.csv"), evaluation_frame(record).to_csv(index=False))
    write_text(os.path.join(folder, "table.md"), evaluation_markdown(record))
    images = shown_images(matrix, classifiers, dataset)
    write_json(os.path.join(folder, "images.json"), images)
    write_text(os.path.join(folder, "report.html"), evaluation_html(record, images))
    names = ["table.csv", "table.md", "report.html", "record.json", "images.json", "examples.npz"]
    return [*names, *write_band(folder, record)]


def certified_arrays(matrix: Matrix) -> dict[str, np.ndarray]:
    """What examples.npz has of certificates, by `<model>/<column>/<radius>/<name>`.

    `status`, `stage`, `margin` and `seconds` are those of `mmtf.bounds.Certificates`;
    `<model>/certified/radius` and `.../radius_above` enclose the certified radius; `drawn` has the
    numbers of the examples, if they are not all.
    """
    columns = {(d, CERTIFIED, eta): one for (d, eta), one in matrix.certificates.items()}
    arrays = {
        f"{defense}/{column}/{eta}/{name}": getattr(one, name)
        for (defense, column, eta), one in {**columns, **matrix.certified_parts}.items()
        for name in ("status", "stage", "margin", "seconds")
    }
    for defense, one in matrix.certified_radii.items():
        arrays[f"{defense}/{CERTIFIED}/radius"] = one.radius
        arrays[f"{defense}/{CERTIFIED}/radius_above"] = one.above
    if matrix.drawn is not None:
        arrays["drawn"] = matrix.drawn
    return arrays


def write_band(folder: str, record: dict[str, Any]) -> list[str]:
    """Writes the figure of the brackets as brackets.png and for TensorBoard, if there are any.

    Args:
      folder: an existing folder; TensorBoard's event file is in `logs` in it.
      record: of `evaluation_record`.

    Returns:
      The names of what was written; without matplotlib nothing is, and a line says so.
    """
    picture = _band(record)
    if picture is None:
        return []
    write_atomically(
        os.path.join(folder, BAND), lambda path: pathlib.Path(path).write_bytes(picture)
    )
    log_figures(os.path.join(folder, "logs"), {"brackets": picture})
    return [BAND, "logs"]


def log_brackets(record: dict[str, Any], workdirs: Iterable[str]) -> None:
    """Adds the figure of the brackets to the TensorBoard logs of runs, as their run `brackets`.

    Args:
      record: of `evaluation_record`; one without certificates adds nothing.
      workdirs: of runs of mmtf.run. Logs that cannot be written are left as they are.
    """
    picture = _band(record)
    if picture is None:
        return
    for folder in workdirs:
        log_figures(os.path.join(folder, "logs", "brackets"), {"brackets": picture})


def _band(record) -> bytes | None:
    series = band_series(record)
    if not series:
        return None
    try:
        return band_png(series, band_title(record))
    except ConfigError as error:  # matplotlib is optional
        print(f"No figure of the brackets: {error}", file=sys.stderr)
        return None
