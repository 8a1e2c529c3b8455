"""`python -m mmtf.magnet`: MagNet, classifiers that detect and reform adversarial examples.

    python -m mmtf.magnet --dataset=mnist --eta=0.6 --beside=minimax_grad=runs/minimax_grad

Trains a classifier (or takes --model), MagNet's auto-encoders and a pack of them (Meng & Chen
2017), and measures them under gray-box attacks, attacks through the reformer, the selective
white-box attack and the transfer between two packs, with rejected images counted as right and as
wrong. Writes record.json, table.csv, table.md, TensorBoard logs, the guarded classifier (Keras
files, which mmtf.evaluate loads) and a SavedModel with logits and acceptance to the folder
--output. A stopped command resumes from what is trained and measured.
"""

import os
import time
from typing import Any

from absl import flags

from mmtf.cli.errors import in_one_line, says_kept
from mmtf.cli.evaluate_flags import path_and_name
from mmtf.cli.flags import chosen_radius, require_used
from mmtf.cli.magnet_flags import define_flags
from mmtf.cli.output_folder import CELLS, claimed
from mmtf.cli.results import Results
from mmtf.config import is_standardized
from mmtf.errors import require_names, require_seed
from mmtf.nets import NETS
from mmtf.runtime import startup

__all__ = ["define_flags", "main"]

FLAGS = flags.FLAGS
NAME, PACK = "magnet", "pack"
OF_PACKS = ("pack_steps", "pack_attack_steps")
OF_TRAINING = ("net", "classifier_steps")
FILES = ("record.json", "table.csv", "table.md", "guard.json", "classifier.keras")


@in_one_line("mmtf.magnet", stopped=says_kept("Trained networks and finished cells"))
def main(argv: list[str]) -> int:
    """Trains and measures MagNet as the flags say; returns the exit status."""
    require_seed(FLAGS.seed)
    NETS.require_known(FLAGS.net)
    uses = dict.fromkeys(OF_TRAINING, (FLAGS.model is None, "a classifier that is trained"))
    uses |= dict.fromkeys(OF_PACKS, (FLAGS.pack > 0, "--pack > 0"))
    require_used(FLAGS, uses)
    beside = [path_and_name(given) for given in FLAGS.beside]
    names = [NAME, "classifier", PACK, *(name or path for path, name in beside)]
    require_names("models", names)
    output = FLAGS.output or os.path.join("runs", f"magnet-{FLAGS.dataset.replace(':', '-')}")
    with claimed(output, FILES):
        return _run(output, os.path.join(output, CELLS), beside)


def _run(output: str, cells: str, beside: list[tuple[str, str | None]]) -> int:
    startup.import_tensorflow()
    import dataclasses

    from mmtf.classifiers.guarded_files import save_guarded, save_guarded_files
    from mmtf.classifiers.loading import load_classifier
    from mmtf.data import load_data
    from mmtf.evaluation.options import EvalOptions
    from mmtf.magnet import measuring, report
    from mmtf.magnet.building import make_guarded
    from mmtf.magnet.recipes import recipe_for
    from mmtf.magnet.training import FitSettings
    from mmtf.threat import ThreatModel

    spent: dict[str, dict[str, float]] = {}
    before = [time.monotonic(), time.process_time()]

    def note(stage: str) -> None:
        """Keeps the time since the last stage, by the clock and of the processor's cores."""
        now = [time.monotonic(), time.process_time()]
        wall, cores = (round(end - begin, 1) for end, begin in zip(now, before, strict=True))
        spent[stage] = {"wall": wall, "processor": cores}
        before[:] = now

    threat = ThreatModel(eta=chosen_radius(FLAGS), norm=FLAGS.norm)
    others = {
        name or path: load_classifier(path, name, trust_saved_models=FLAGS.trust_saved_models)
        for path, name in beside
    }
    box = "box" if is_standardized(FLAGS.dataset) else None
    data = load_data(FLAGS.dataset, FLAGS.data_dir, preprocess=box)
    recipe = recipe_for(data.image_shape, FLAGS.recipe)
    split = data.holdout(FLAGS.held_out, FLAGS.seed)
    classifier = _classifier(split, threat, cells)
    note("classifier")
    images = split.train()[0], split.test()[0]
    fit = FitSettings(steps=FLAGS.autoencoder_steps, seed=FLAGS.seed)
    kept: dict[str, Any] = {"cache_dir": cells, "progress": True}
    guarded = make_guarded(classifier, *images, recipe, fit=fit, name=NAME, **kept)
    note("auto-encoders")
    strength = measuring.Strength(FLAGS.pgd_steps, FLAGS.pgd_restarts, FLAGS.selective_steps)
    options = EvalOptions(
        max_examples=FLAGS.max_examples, seed=FLAGS.seed, cache_dir=cells, progress=True
    )
    rows = {"classifier": classifier, NAME: guarded, **others}
    results = measuring.measure_classifiers(rows, data, threat, strength, options)
    note("attacks")
    if FLAGS.pack:
        pack, attacker = _packs(classifier, images, recipe, cells)
        note("packs")
        strength = dataclasses.replace(strength, selective_steps=FLAGS.pack_attack_steps)
        results += measuring.measure_pack(pack, attacker, data, threat, strength, options)
        note("attacks on packs")
    positives: dict[str, Any] = {
        "target": recipe.target,
        "attacked": measuring.false_positives(guarded, data, FLAGS.max_examples),
        "all": measuring.false_positives(guarded, data),
    }
    record: dict[str, Any] = {
        "dataset": {"name": data.name, "note": data.note},
        "threat": {"eta": threat.eta, "epsilon": threat.epsilon, "norm": threat.norm},
        "recipe": recipe.to_dict(),
        "detectors": [one.settings() for one in guarded.detectors],
        "settings": _settings(),
        "beside": list(others),
        "false_positives": positives,
        "cells": report.entries(results),
        "seconds_in_last_process": spent,
    }
    lines = [f"{data.name}, {threat.describe()}, {results[0].n:,} test images."]
    lines += [
        report.false_positive_line(positives[part], recipe.target) for part in ("attacked", "all")
    ]
    text = "\n".join(lines) + "\n\n" + report.table(record["cells"])
    print(text)
    written = Results(output)
    _write(written, record, text)
    written.names += save_guarded_files(guarded, output)
    save_guarded(guarded, data.preprocess, data.image_shape, written.add("guarded"))
    written.tell()
    return 0


def _classifier(split: Any, threat: Any, cells: str) -> Any:
    """The classifier of --model, or one trained without a defense on the split."""
    from mmtf.classifiers.admission import logits_on, require_no_rejection
    from mmtf.classifiers.classifier import Classifier
    from mmtf.classifiers.loading import load_classifier, require_keras
    from mmtf.games import GAMES
    from mmtf.presets import schedule_of
    from mmtf.training.train import train

    if FLAGS.model is not None:
        path = path_and_name(FLAGS.model)[0]
        trusted = FLAGS.trust_saved_models
        loaded = load_classifier(path, "classifier", trust_saved_models=trusted)
        require_no_rejection(loaded, "MagNet")
        require_keras(loaded, "MagNet")
        logits_on(loaded, split.test(50)[0], split.num_classes)
        return loaded
    schedule = schedule_of("undefended", FLAGS.dataset, steps=FLAGS.classifier_steps)
    shape = {"image_shape": split.image_shape, "num_classes": split.num_classes}
    trained = train(
        GAMES["undefended"](threat),
        split,
        model=NETS[FLAGS.net](**shape, seed=FLAGS.seed),
        schedule=schedule,
        seed=FLAGS.seed,
        checkpoint_dir=os.path.join(cells, "classifier"),
    )
    return Classifier(trained.model, name="classifier")


def _packs(classifier: Any, images: tuple, recipe: Any, cells: str) -> list[Any]:
    """The defender's pack, and the attacker's: of the same images, with other seeds."""
    from mmtf.magnet.building import make_pack
    from mmtf.magnet.training import FitSettings

    x, held_out = images
    return [
        make_pack(
            classifier,
            x,
            held_out,
            recipe,
            count=FLAGS.pack,
            fit=FitSettings(steps=FLAGS.pack_steps, seed=FLAGS.seed + 1 + number),
            name=name,
            cache_dir=cells,
            progress=True,
        )
        for number, name in enumerate((PACK, "attacker"))
    ]


def _settings() -> dict[str, Any]:
    own = OF_TRAINING if FLAGS.model is None else ("model",)
    whole = ("held_out", "autoencoder_steps", *own, "pack", *(OF_PACKS if FLAGS.pack else ()))
    attacks = ("max_examples", "pgd_steps", "pgd_restarts", "selective_steps")
    return {name: getattr(FLAGS, name) for name in (*whole, *attacks, "seed")}


def _write(written: Results, record: dict[str, Any], text: str) -> None:
    """Writes the record, the tables and the logs."""
    import pandas as pd

    from mmtf.storage.provenance import provenance
    from mmtf.training.logs import Logs

    written.json("record.json", {**record, **provenance()})
    written.text("table.csv", pd.DataFrame(record["cells"]).to_csv(index=False))
    written.text("table.md", text + "\n")
    folder = written.add("logs")
    for cell in record["cells"]:
        logs = Logs(os.path.join(folder, f"{cell['defense']}-{cell['attack']}"), {})
        kinds = {"error": "reject = right", "reject_wrong": "reject = wrong"}
        kinds["rejected"] = "rejected"
        logs.scalars(0, {f"error/{kinds[key]}": cell[key] for key in kinds if key in cell})
        logs.close()
