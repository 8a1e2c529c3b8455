"""`python -m mmtf.smooth`: certified accuracy of classifiers smoothed by Gaussian noise.

    python -m mmtf.smooth --model=runs/smooth_gaussian --sigma=1.0 --n=10000 --max_examples=500 \\
        --output=smoothed

Certifies the vote of the model under noise on test images (Cohen et al. 2019), attacks it at the
same l2 radii, and prints both on the scale of pixels in [-1, 1] and in [0, 1]. With --output it
writes record.json, images.jsonl, table.csv, table.md, curve.png, TensorBoard logs and a SavedModel
that predicts by vote with abstention; a stopped command resumes from its finished images.
"""

import os
import re
from typing import Any

from absl import flags

from mmtf.cli.defining import numbers
from mmtf.cli.errors import in_one_line, says_kept
from mmtf.cli.evaluate_data import chosen_dataset
from mmtf.cli.evaluate_flags import path_and_name
from mmtf.cli.models import given_models
from mmtf.cli.output_folder import claimed
from mmtf.cli.results import Results
from mmtf.cli.smooth_flags import define_flags
from mmtf.cli.smoothed_flags import noise_of
from mmtf.config import is_standardized
from mmtf.errors import require
from mmtf.runtime import startup
from mmtf.runtime.console import say

__all__ = ["define_flags", "main"]

FLAGS = flags.FLAGS
FILES = ("record.json", "images.jsonl", "table.csv", "table.md", "curve.png")


@in_one_line("mmtf.smooth", stopped=says_kept("Finished images", lambda: FLAGS.output))
def main(argv: list[str]) -> int:
    """Certifies and attacks the models that the flags name; returns the exit status."""
    require(bool(FLAGS.model), "at least one --model", "none")
    radii = tuple(numbers("radii", FLAGS.radii))
    require(bool(radii), "--radii of at least one number", "none")
    sigmas = noise_of(FLAGS.sigma, [path_and_name(given)[0] for given in FLAGS.model])
    with claimed(FLAGS.output, FILES) as cells:
        return _smooth(radii, sigmas, cells)


def _smooth(radii: tuple[float, ...], sigmas: list[float], cells: str | None) -> int:
    startup.import_tensorflow()
    from mmtf.classifiers.admission import logits_on, tell
    from mmtf.data import load_data
    from mmtf.evaluation.cells import Examples
    from mmtf.smoothing import report
    from mmtf.smoothing.measuring import measure_smoothed
    from mmtf.smoothing.settings import Settings

    settings = [
        Settings(
            sigma=sigma,
            n=FLAGS.n,
            n0=FLAGS.n0,
            alpha=FLAGS.alpha,
            radii=radii,
            attack_steps=FLAGS.attack_steps,
            attack_draws=FLAGS.attack_draws,
            seed=FLAGS.seed,
        )
        for sigma in sigmas
    ]
    models = list(given_models(FLAGS).values())
    name = chosen_dataset(FLAGS.dataset, [path_and_name(one)[0] for one in FLAGS.model], models)
    dataset = load_data(name, FLAGS.data_dir, preprocess=FLAGS.preprocess)
    examples = Examples(dataset, FLAGS.max_examples)
    for one in models:
        logits_on(one, examples.x[:50], dataset.num_classes)
        tell(one)
    measured = [
        measure_smoothed(one, examples, how, cache_dir=cells, progress=True)
        for one, how in zip(models, settings, strict=True)
    ]
    entries = [report.summary(one) for one in measured]
    both = not is_standardized(name, FLAGS.preprocess)
    given = {"n": FLAGS.n, "n0": FLAGS.n0, "alpha": FLAGS.alpha, "seed": FLAGS.seed}
    given |= {"attack_steps": FLAGS.attack_steps, "attack_draws": FLAGS.attack_draws}
    values = examples.x[:1].size
    lines = [line for one in entries for line in report.sentences(one, given, values, both)]
    text = "\n".join(lines) + "\n\n" + report.table(entries, both)
    print(text)
    if FLAGS.output:
        results = Results(FLAGS.output)
        _write(results, measured, entries, dataset, given, text, both)
        _export(results, models, settings, dataset)
        results.tell()
    return 0


def _write(
    results: Results,
    measured: list,
    entries: list,
    dataset: Any,
    given: dict,
    text: str,
    both_scales: bool,
) -> None:
    """Writes the files but the SavedModels."""
    import json

    import pandas as pd

    from mmtf.smoothing import report
    from mmtf.storage.provenance import provenance

    record = {"dataset": dataset.name, "note": dataset.note, "settings": given}
    results.json("record.json", {**record, "models": entries, **provenance()})
    rows = [json.dumps(row) for one in measured for row in report.image_rows(one)]
    results.text("images.jsonl", "\n".join(rows) + "\n")
    flat = [{"model": one["model"], **point} for one in entries for point in one["points"]]
    results.text("table.csv", pd.json_normalize(flat, sep="_").to_csv(index=False))
    results.text("table.md", text + "\n")
    results.figure("curve.png", lambda path: report.curve(measured, path, both_scales))
    logs = results.add("logs")
    for entry in entries:
        _log(os.path.join(logs, _file_name(entry["model"])), entry, given)


def _log(folder: str, entry: dict, given: dict) -> None:
    """Writes the curve for TensorBoard; its steps are thousandths of the radius."""
    from mmtf.training.logs import Logs

    logs = Logs(folder, {"sigma": entry["sigma"], **given})
    for point in entry["points"]:
        kinds = [kind for kind in ("certified", "attacked", "base") if kind in point]
        logs.scalars(
            round(1000 * point["radius"]),
            {f"accuracy by radius/{kind}": point[kind]["value"] for kind in kinds},
        )
    logs.close()


def _export(results: Results, models: list, settings: list, dataset: Any) -> None:
    """Writes a SavedModel of each smoothed Keras model."""
    from mmtf.smoothing.serving import save_smoothed

    if not FLAGS.votes:
        return
    for model, how in zip(models, settings, strict=True):
        if model.keras_model is None:
            say(f"No export of {model.name}: it is not a Keras model.")
            continue
        name = "smoothed" if len(models) == 1 else f"smoothed-{_file_name(model.name)}"
        given = {"sigma": how.sigma, "n": FLAGS.votes, "alpha": how.alpha}
        save_smoothed(model, dataset.preprocess, dataset.image_shape, results.add(name), **given)


def _file_name(name: str) -> str:
    return re.sub(r"[^\w.-]+", "_", name)
