"""`python -m mmtf.additive`: the game of additive attacks and additive defenses.

    python -m mmtf.additive --dataset=mnist --classes=0,1 --eta_attack=2,4,6 --eta_defense=2,4,6

Trains a classifier of two classes (or takes one, --model), solves the game on training images, and
measures attacks and defenses on test images: the true accuracy and that of the linearized
classifier. Writes record.json, table.md, answers.md, the figure accuracy.png and the defended
classifier of the first pair and radius (defended.keras and the SavedModel saved_model) to the
folder --output, from which a stopped command resumes.
"""

import os
from typing import Any

from absl import flags

from mmtf.cli.defining import Definer
from mmtf.cli.errors import about, in_one_line, says_kept
from mmtf.cli.evaluate_flags import pixel_range
from mmtf.cli.flags import require_used
from mmtf.cli.output_folder import claimed
from mmtf.cli.results import Results
from mmtf.errors import require
from mmtf.radius import describe_radius, parse_radius
from mmtf.runtime import startup
from mmtf.runtime.console import say

FLAGS = flags.FLAGS
FILES = ("record.json", "table.md", "answers.md", "accuracy.png", "defended.keras", "saved_model")


def define_flags(values: flags.FlagValues = flags.FLAGS) -> None:
    """Defines the flags of `python -m mmtf.additive` in `values`."""
    define = Definer(values)

    define.text("dataset", "mnist", "Dataset of mmtf.load_data: digits, mnist, cifar10 and others.")
    define.data_dir()
    define.words("classes", ["0", "1"], "The two classes, separated by a comma.")
    define.text("pairs", None, "Pairs of classes in place of --classes: 0-1,3-5, or all.")
    define.words("eta_attack", ["4"], "Attacker's radii in l2 for pixels in [-1, 1] (twice eps).")
    define.words(
        "eta_defense",
        ["4"],
        "Defender's radii, one for all, or one for each of --eta_attack in the same order.",
    )
    define.words(
        "attacks",
        ["none", "fgm", "pgd", "pgd_adapted", "autoattack"],
        "Attacks, of: none, fgm, pgd (on the classifier alone), pgd_adapted (on each defense), "
        "autoattack.",
    )
    define.words(
        "defenses",
        ["none", "smooth", "best_vector", "random", "gaussian"],
        "Defenses, of: none, smooth, best_vector, random, gaussian.",
    )
    define.text(
        "label", "truth", "y of the game: truth, or prediction (the class of the classifier)."
    )
    define.text(
        "model", None, "A .keras file, a workdir of mmtf.run or a SavedModel; default: train one."
    )
    define.words("bounds", ["-1", "1"], "Pixel range of --model, LOW,HIGH.")
    define.trust_saved_models()
    define.text(
        "net", "mlp", "Net that is trained: mlp (64 and 32 hidden units), or a net of mmtf.nets."
    )
    define.whole("epochs", 8, "Epochs of its training.")
    define.whole("train_examples", 4000, "Training images on which the game is solved.")
    define.whole("test_examples", 1000, "Test images.")
    define.whole("strongest_examples", 200, "Test images that AutoAttack gets.")
    define.whole("search_steps", 200, "Steps of each search for the defender's vector.")
    define.whole("pgd_steps", 40, "Steps of PGD.")
    define.whole("draws", 4, "Draws of a random defense in the mean that adapted attacks see.")
    define.whole("queries", 1000, "Queries of Square in AutoAttack.")
    define.whole("seed", 0, "Seed of weights, searches, draws and attacks.", 0)
    define.text("output", None, "Folder of the results; default: runs/additive-<dataset>.")


@in_one_line("mmtf.additive", stopped=says_kept("Finished cells"))
def main(argv: list[str]) -> int:
    """Solves and measures the games that the flags describe; returns the exit status."""
    radii = _radii()
    given, trained = FLAGS.model is not None, FLAGS.model is None
    uses = dict.fromkeys(("net", "epochs"), (trained, "a classifier that is trained"))
    uses |= dict.fromkeys(("bounds", "trust_saved_models"), (given, "--model"))
    strongest = "autoattack" in FLAGS.attacks, "autoattack among --attacks"
    require_used(FLAGS, uses | dict.fromkeys(("queries", "strongest_examples"), strongest))
    startup.import_tensorflow()
    from mmtf.additive.cell import Settings
    from mmtf.additive.pairs import all_pairs
    from mmtf.additive.running import Source, measure_pairs
    from mmtf.classifiers.loading import load_classifier
    from mmtf.data import load_data

    settings = Settings(
        attacks=tuple(FLAGS.attacks),
        defenses=tuple(FLAGS.defenses),
        label=FLAGS.label,
        train_examples=FLAGS.train_examples,
        test_examples=FLAGS.test_examples,
        strongest_examples=FLAGS.strongest_examples,
        search_steps=FLAGS.search_steps,
        pgd_steps=FLAGS.pgd_steps,
        draws=FLAGS.draws,
        queries=FLAGS.queries,
        seed=FLAGS.seed,
    )
    model = None
    if FLAGS.model:
        bounds = pixel_range(",".join(FLAGS.bounds))
        model = load_classifier(
            FLAGS.model,
            bounds=bounds,
            trust_saved_models=FLAGS.trust_saved_models,
        )
    # Pixels in the box itself, of which the two scales of a radius speak.
    data = load_data(FLAGS.dataset, FLAGS.data_dir, preprocess="box")
    pairs = all_pairs(data.num_classes) if FLAGS.pairs == "all" else _pairs()
    output = FLAGS.output or os.path.join("runs", f"additive-{data.name.replace(':', '_')}")
    with claimed(output, FILES) as cells:
        for attack, defense in radii:
            ours, theirs = (describe_radius(one, norm="l2") for one in (defense, attack))
            say(f"attacker: {theirs}; defender: {ours}")
        measured = measure_pairs(
            data,
            pairs,
            radii,
            settings,
            Source(model=model, net=FLAGS.net, epochs=FLAGS.epochs),
            folder=cells,
            say=say,
        )
        results = Results(output)
        _write(results, data, settings, measured)
        _export(results, data, measured[0])
    results.tell()
    return 0


def _write(results: Results, data: Any, settings: Any, measured: list[Any]) -> None:
    """Prints the tables and writes the files but the classifier."""
    import dataclasses

    from mmtf.additive import report
    from mmtf.additive.answers import answers
    from mmtf.storage.provenance import provenance

    record = {
        "dataset": {"name": data.name, "digest": data.raw_digest, "note": data.note},
        "classifier": {"model": FLAGS.model and os.path.basename(FLAGS.model.rstrip("/"))}
        if FLAGS.model
        else {"net": FLAGS.net, "epochs": FLAGS.epochs},
        "settings": dataclasses.asdict(settings),
        "cells": [one.cell for one in measured],
        **provenance(),
    }
    text = report.text_of(record)
    print(text)
    results.json("record.json", record)
    results.text("table.md", text)
    results.text("answers.md", answers(record))
    results.figure("accuracy.png", lambda path: report.draw(record, path))


def _export(results: Results, data: Any, first: Any) -> None:
    """Writes the first classifier with its drawn vector."""
    from mmtf.additive.layers import defended
    from mmtf.classifiers.export import save_keras, save_serving

    if first.classifier.keras_model is None:
        say("No export: the model is not a Keras model of two classes.")
        return
    model = defended(first.classifier, first.vectors)
    save_keras(model, results.add("defended.keras"))
    save_serving(model, data.preprocess, data.image_shape, results.add("saved_model"))


def _radii() -> list[tuple[float, float]]:
    found = []
    for flag in ("eta_attack", "eta_defense"):
        with about(f"--{flag}"):
            given = [parse_radius(text) for text in getattr(FLAGS, flag)]
            numbers = [one for one in given if isinstance(one, float) and 0 < one < float("inf")]
            good = 0 < len(numbers) == len(given)
            require(good, "radii > 0", getattr(FLAGS, flag))
        found.append(numbers)
    attack, defense = found
    defense = defense * len(attack) if len(defense) == 1 else defense
    wanted = f"--eta_defense of one radius, or of {len(attack)} as --eta_attack"
    require(len(attack) == len(defense), wanted, f"{len(defense)}")
    radii = list(zip(attack, defense, strict=True))
    require(len(set(radii)) == len(radii), "different radii", radii)
    return radii


def _pairs() -> list[tuple[int, int]]:
    require(
        FLAGS.pairs is None or not FLAGS["classes"].present,
        "--classes or --pairs, one of them",
        "both",
    )
    given = ["-".join(FLAGS.classes)] if FLAGS.pairs is None else FLAGS.pairs.split(",")
    parts = [one.split("-") for one in given]
    flag = "classes=0,1" if FLAGS.pairs is None else "pairs=0-1,3-5 (or all)"
    good = all(len(one) == 2 and all(part.strip().isdigit() for part in one) for one in parts)
    received = ",".join(FLAGS.classes) if FLAGS.pairs is None else FLAGS.pairs
    require(good, f"two classes, --{flag}", received)
    pairs = [(int(one), int(other)) for one, other in parts]
    require(len(set(pairs)) == len(pairs), "different pairs", received)
    return pairs
