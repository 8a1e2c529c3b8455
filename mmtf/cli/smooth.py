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
import sys
from typing import Any

from absl import flags

from mmtf.cli.errors import in_one_line
from mmtf.cli.evaluate_data import chosen_dataset
from mmtf.cli.evaluate_flags import model_outputs, path_and_name, pixel_ranges
from mmtf.cli.output_folder import claimed
from mmtf.cli.smooth_flags import define_flags, numbers
from mmtf.cli.smoothed_flags import noise_of
from mmtf.config import STANDARDIZED
from mmtf.errors import ConfigError, Interrupted, require, require_names
from mmtf.runtime import startup

__all__ = ["define_flags", "main"]

FLAGS = flags.FLAGS
FILES = ("record.json", "images.jsonl", "table.csv", "table.md", "curve.png")


def _stopped(number: int, interrupted: Interrupted | None) -> int:
    kept = f"Finished images are in {FLAGS.output}; the same command goes on from them."
    print("Stopped. " + (kept if FLAGS.output else "Nothing is kept without --output."))
    return 128 + number


@in_one_line("mmtf.smooth", stopped=_stopped)
def main(argv: list[str]) -> int:
    """Certifies and attacks the models that the flags name; returns the exit status."""
    require(bool(FLAGS.model), "at least one --model", "none")
    radii = numbers("radii", FLAGS.radii)
    sigmas = noise_of(FLAGS.sigma, [path_and_name(given)[0] for given in FLAGS.model])
    with claimed(FLAGS.output, FILES) as cells:
        return _smooth(radii, sigmas, cells)


def _smooth(radii: tuple[float, ...], sigmas: list[float], cells: str | None) -> int:
    startup.import_tensorflow()
    from mmtf.classifiers.admission import logits_on, tell
    from mmtf.classifiers.loading import load_classifier
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
    models = []
    for given, bounds, output in zip(
        FLAGS.model, pixel_ranges(FLAGS), model_outputs(FLAGS), strict=True
    ):
        path, name = path_and_name(given)
        trusted = FLAGS.trust_saved_models
        models.append(load_classifier(path, name, bounds, output, trust_saved_models=trusted))
    require_names("models", [one.name for one in models])
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
    both = name not in STANDARDIZED or FLAGS.preprocess == "box"
    given = {"n": FLAGS.n, "n0": FLAGS.n0, "alpha": FLAGS.alpha, "seed": FLAGS.seed}
    given |= {"attack_steps": FLAGS.attack_steps, "attack_draws": FLAGS.attack_draws}
    values = examples.x[:1].size
    lines = [line for entry in entries for line in report.sentences(entry, given, values)]
    text = "\n".join(lines) + "\n\n" + report.table(entries, both)
    print(text)
    if FLAGS.output:
        names = _write(measured, entries, dataset, given, text)
        names += _export(models, settings, dataset)
        print(f"\nEverything is in {FLAGS.output}: {', '.join(names)}.")
    return 0


def _write(measured: list, entries: list, dataset: Any, given: dict, text: str) -> list[str]:
    """Writes the files but the SavedModels; returns their names."""
    import json

    import pandas as pd

    from mmtf.smoothing import report
    from mmtf.storage.files import write_atomically, write_json, write_text
    from mmtf.storage.provenance import provenance

    def at(name: str) -> str:
        return os.path.join(FLAGS.output, name)

    record = {"dataset": dataset.name, "note": dataset.note, "settings": given}
    write_json(at("record.json"), {**record, "models": entries, **provenance()})
    rows = [json.dumps(row) for one in measured for row in report.image_rows(one)]
    write_text(at("images.jsonl"), "\n".join(rows) + "\n")
    flat = [{"model": one["model"], **point} for one in entries for point in one["points"]]
    write_text(at("table.csv"), pd.json_normalize(flat, sep="_").to_csv(index=False))
    names = ["record.json", "images.jsonl", "table.csv", "table.md"]
    try:
        write_atomically(at("curve.png"), lambda path: report.curve(measured, path))
        names.append("curve.png")
    except ConfigError as error:  # matplotlib is optional
        print(f"No figure: {error}", file=sys.stderr)
    write_text(at("table.md"), text + "\n")
    for entry in entries:
        _log(at(os.path.join("logs", _file_name(entry["model"]))), entry, given)
    return [*names, "logs"]


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


def _export(models: list, settings: list, dataset: Any) -> list[str]:
    """Writes a SavedModel of each smoothed Keras model; returns their names."""
    from mmtf.smoothing.serving import save_smoothed

    if not FLAGS.votes:
        return []
    names = []
    for model, how in zip(models, settings, strict=True):
        if model.keras_model is None:
            print(f"No export of {model.name}: it is not a Keras model.", file=sys.stderr)
            continue
        names.append("smoothed" if len(models) == 1 else f"smoothed-{_file_name(model.name)}")
        path = os.path.join(FLAGS.output, names[-1])
        given = {"sigma": how.sigma, "n": FLAGS.votes, "alpha": how.alpha}
        save_smoothed(model, dataset.preprocess, dataset.image_shape, path, **given)
    return names


def _file_name(name: str) -> str:
    return re.sub(r"[^\w.-]+", "_", name)
