"""Ablation of learned attacks: one change at a time from the strongest recipe.

    python -m scripts.attack_networks --classifiers=glorot=runs/undefended-mnist-eta0.3-seed0,...

Each recipe trains a new network against each classifier on 55,000 training images. Its error is
measured on the 5,000 held-out training images, by which recipes may be selected, and on the test
split. Writes results/section4/attack_networks.json after every cell; existing cells are not trained
again. `python -m scripts.network_games` renders docs/attack_networks.md from it.
"""

import contextlib
import dataclasses
import json
import os
import time

from absl import app, flags

from mmtf.cli.errors import in_one_line
from mmtf.config import Schedule
from mmtf.errors import ConfigError, require
from mmtf.reports import read_json, write_json
from mmtf.runtime import startup
from mmtf.storage.lock import hold_file
from scripts.blocks import RESULTS

RECORD = RESULTS / "section4" / "attack_networks.json"
HELD_OUT = 5000

FLAGS = flags.FLAGS


def recipes() -> dict:
    """Returns name -> AttNetRecipe: the strongest, single changes, other networks, the paper's."""
    from mmtf.evaluation.best_response import ATTNET, ATTNET_PAPER, ATTNET_PAPER_FAST, AttNetRecipe

    half = dataclasses.replace(ATTNET.schedule, steps=ATTNET.schedule.steps // 2)
    base = dataclasses.replace(ATTNET, schedule=half)

    def net(**options):
        return dataclasses.replace(base, net_options=options)

    def schedule(**changes):
        return dataclasses.replace(base, schedule=dataclasses.replace(half, **changes))

    mlp = {"dropout": 0.0, "layer_norm": True, "output": "full"}
    other = {
        "mlp": AttNetRecipe(net="mlp", net_options=mlp, loss="margin", schedule=half),
        "conv": AttNetRecipe(
            net="conv",
            net_options={"layer_norm": True, "output": "full", "width": 16},
            loss="margin",
            schedule=half,
        ),
        "universal": AttNetRecipe(
            net="universal", net_options={"output": "full"}, loss="margin", schedule=half
        ),
    }
    other["mlp 1000 wide"] = dataclasses.replace(other["mlp"], net_options={**mlp, "width": 1000})
    other["mlp 6 deep"] = dataclasses.replace(other["mlp"], net_options={**mlp, "depth": 6})
    return {
        "strongest": ATTNET,
        "base": base,
        "seed 1": base,
        "seed 2": base,
        "output normalized": net(output="normalized"),
        "output tanh": net(output="tanh"),
        "loss cross-entropy": dataclasses.replace(base, loss="cross_entropy"),
        "rate 1e-3": schedule(learning_rate=1e-3),
        "constant rate": schedule(decay="constant"),
        "batch 128 as many images": schedule(steps=half.steps // 4, batch_size=128),
        "no layer norm": net(layer_norm=False),
        "no label": net(label=False),
        "width 16": net(width=16),
        "float32": dataclasses.replace(base, precision="float32"),
        **other,
        "paper 1500 steps": ATTNET_PAPER_FAST,
        "paper with full output and margin": dataclasses.replace(
            ATTNET_PAPER_FAST, net_options={"output": "full"}, loss="margin"
        ),
        "paper without dropout": dataclasses.replace(ATTNET_PAPER_FAST, net_options={"dropout": 0}),
        "paper 30000 steps": dataclasses.replace(
            ATTNET_PAPER, schedule=Schedule(steps=30_000, learning_rate=1e-3)
        ),
    }


@in_one_line("scripts.attack_networks")
def main(_: list[str]) -> None:
    """Trains and measures every recipe against every classifier."""
    startup.import_tensorflow()
    from mmtf import ThreatModel, load_data
    from mmtf.attacks import ATTACKS
    from mmtf.classifiers.classifier import as_classifier
    from mmtf.classifiers.keras_files import load_keras
    from mmtf.evaluation.best_response import best_response
    from mmtf.evaluation.runner import measure
    from mmtf.storage.provenance import provenance
    from mmtf.training.progress import Progress

    known = recipes()
    names = FLAGS.recipes or [name for name in known if name != "paper 30000 steps"]
    if set(names) - set(known):
        raise ConfigError(f"Expected recipes among {', '.join(known)}. Received: {names}.")
    _check_folders()
    data = load_data(FLAGS.dataset)
    held = data.holdout(HELD_OUT)
    splits = {"held_out": held.test(), "test": data.test(FLAGS.max_examples)}
    threat = ThreatModel(eta=FLAGS.eta)
    lock = hold_file(FLAGS.output)
    cells = read_json(FLAGS.output)["cells"] if os.path.exists(FLAGS.output) else []
    classifiers, made = {}, provenance()

    def key_of(classifier, name, settings):
        return {
            "classifier": classifier,
            "recipe": name,
            "eta": FLAGS.eta,
            "dataset": FLAGS.dataset,
            "max_examples": FLAGS.max_examples,
            "digest": as_classifier(classifiers[classifier]).fingerprint,
            "settings": settings,
        }

    def keep(key, attack, about):
        results, classifier, name = {}, key["classifier"], key["recipe"]
        for split, (x, y) in splits.items():
            bar = Progress(len(x), label=f"{classifier}  {name}", unit="image", last=False)
            with contextlib.closing(bar):
                found = measure(classifiers[classifier], attack, x, y, name=name, progress=bar)
            told = found.to_dict()
            results[split] = {one: told[one] for one in ("error", "ci_low", "ci_high", "n")}
        names = ("classifier", "recipe", "eta")  # replaces a cell with other settings
        cells[:] = [cell for cell in cells if any(cell[one] != key[one] for one in names)]
        cells.append({**key, **results, **about, "commit": made["commit"]})
        write_json(FLAGS.output, {"cells": cells, **made})
        print(f"{classifier:14} {name:36} held out {results['held_out']['error']:.4f}", flush=True)

    for one in FLAGS.classifiers:
        label, _, folder = one.partition("=")
        classifiers[label] = load_keras(os.path.join(folder, "classifier.keras"))
        for attack in ("none", "fgsm", "pgd"):
            key = key_of(label, attack, None)
            if not _done(key, cells):
                keep(key, ATTACKS[attack](threat), {})
        for name in names:
            recipe, began = known[name], time.monotonic()
            key = key_of(label, name, recipe.to_dict())
            if _done(key, cells):
                continue
            seed = int(name.split()[1]) if name.startswith("seed ") else 0
            attack = best_response(classifiers[label], held, threat, recipe, seed=seed)
            seconds = round(time.monotonic() - began, 1)
            keep(key, attack, {"seconds": seconds, "seed": seed})
    lock.close()


def _done(key, cells) -> bool:
    """Whether the cell exists; raises ConfigError for another classifier of the same name."""
    key = json.loads(json.dumps(key))  # as JSON stores it
    for cell in cells:
        if (cell["classifier"], cell["eta"]) == (key["classifier"], key["eta"]):
            for name in ("digest", "dataset", "max_examples"):
                require(
                    cell.get(name) == key[name],
                    f"{name} {key[name]} in the cells of {key['classifier']!r} in {FLAGS.output}; "
                    "give another NAME or --output",
                    cell.get(name, "none, in older cells"),
                )
    return any(key.items() <= cell.items() for cell in cells)


def _check_folders():
    for one in FLAGS.classifiers:
        _, _, folder = one.partition("=")
        if not os.path.exists(os.path.join(folder, "classifier.keras")):
            raise ConfigError(f"Expected NAME=FOLDER of a finished run. Received: {one}.")


def define_flags() -> None:
    """Defines the command's flags; a function, because one test may import several scripts."""
    flags.DEFINE_list(
        "classifiers",
        ["glorot=runs/undefended-mnist-eta0.3-seed0"],
        "NAME=FOLDER of finished runs of mmtf.run, separated by commas.",
    )
    flags.DEFINE_list("recipes", None, "Names of recipes; default: all but paper 30000 steps.")
    flags.DEFINE_string("dataset", "mnist", "Dataset on which the classifiers were trained.")
    flags.DEFINE_float("eta", 0.3, "Radius of the attacks, for pixels in [-1, 1].")
    flags.DEFINE_integer(
        "max_examples", 0, "Number of test examples, from the first; 0 for all.", lower_bound=0
    )
    flags.DEFINE_string("output", str(RECORD), "Path of the record.")


if __name__ == "__main__":
    define_flags()
    app.run(main)
