"""Transfer matrix: attack-network architectures against defenses trained with each of them.

    python -m scripts.attacker_transfer [--dataset=mnist] [--eta=0.3] [--steps=1000]

Rows: the undefended classifier, and the classifier of Minimax-AttNet for each architecture.
Columns: a best response of each architecture, newly trained against the classifier in the row; all
by one recipe. Classifiers are runs of mmtf.run under --runs; finished classifiers and best
responses are reused. Writes results/section4/transfer.json after every row, then
docs/figures/transfer.png.
"""

import dataclasses
import os

from absl import app, flags

from mmtf.cli.errors import in_one_line
from mmtf.reports import read_json, write_json
from mmtf.runtime import startup
from scripts.blocks import FIGURES, RESULTS

RECORD = RESULTS / "section4" / "transfer.json"
FIGURE = FIGURES / "transfer.png"
# Name -> (attack net, its options); all have the same output map: only architectures differ.
ARCHITECTURES = {
    "universal": ("universal", {"output": "full"}),
    "mlp": ("mlp", {"output": "full", "layer_norm": True, "dropout": 0.0}),
    "mlp, no label": (
        "mlp",
        {"output": "full", "layer_norm": True, "dropout": 0.0, "label": False},
    ),
    "conv": ("conv", {"output": "full", "layer_norm": True, "width": 16, "depth": 2}),
    "unet": ("unet", {"output": "full"}),
}

FLAGS = flags.FLAGS


@in_one_line("scripts.attacker_transfer")
def main(_: list[str]) -> None:
    """Measures the matrix row by row and draws it."""
    startup.import_tensorflow()
    from mmtf import load_data
    from mmtf.presets import run_config
    from mmtf.storage.provenance import provenance
    from mmtf.threat import ThreatModel
    from scripts.network_games import draw_transfer

    data, threat = load_data(FLAGS.dataset), ThreatModel(eta=FLAGS.eta)
    schedule = {"steps": FLAGS.steps}
    shared = {"dataset": FLAGS.dataset, "eta": FLAGS.eta, "seed": FLAGS.seed, "attacks": ("none",)}
    configs = {"undefended": run_config(game="undefended", **shared)}
    for name, (net, options) in ARCHITECTURES.items():
        configs[name] = run_config(
            game="minimax_attnet",
            game_options={"net": net, "net_options": options},
            schedule_options=schedule,
            **shared,
        )
    cells = []
    for number, (defense, config) in enumerate(configs.items()):
        print(f"Row {number + 1} of {len(configs)}: {defense}", flush=True)
        folder = os.path.join(FLAGS.runs, defense.replace(", ", "-").replace(" ", "-"))
        cells += _row(defense, config, data, threat, folder)
        record = {
            "dataset": FLAGS.dataset,
            "eta": FLAGS.eta,
            "attack_steps": FLAGS.attack_steps,
            "steps": {name: one.schedule.steps for name, one in configs.items()},
            "seed": FLAGS.seed,
            "cells": cells,
            **provenance(),
        }
        os.makedirs(os.path.dirname(os.path.abspath(FLAGS.output)), exist_ok=True)
        write_json(FLAGS.output, record)
    draw_transfer(read_json(FLAGS.output), FLAGS.figure)


def _row(defense, config, data, threat, folder):
    from mmtf.classifiers.keras_files import load_keras
    from mmtf.evaluation.attack_specs import make_attacks
    from mmtf.evaluation.best_response import ATTNET
    from mmtf.evaluation.options import EvalOptions
    from mmtf.evaluation.payoff import attack_classifier
    from mmtf.runs.experiment import run_experiment
    from mmtf.runs.workdir import Workdir

    with Workdir(folder, config) as workdir:
        if workdir.finished() is None:
            run_experiment(config, workdir, data)
        classifier = load_keras(workdir.keras_path)
        recipes = {
            name: dataclasses.replace(
                ATTNET,
                net=net,
                net_options=options,
                schedule=dataclasses.replace(ATTNET.schedule, steps=FLAGS.attack_steps),
            )
            for name, (net, options) in ARCHITECTURES.items()
        }
        attacks = make_attacks(
            {name: {} for name in ("none", "fgsm", *recipes)},
            threat,
            recipes=recipes,
            seed=FLAGS.seed,
            cache_dir=workdir.inside("attackers"),
        )
        options = EvalOptions(max_examples=FLAGS.max_examples, seed=FLAGS.seed, progress=True)
        results = attack_classifier(classifier, attacks, data, options)
    return [dataclasses.replace(one, defense=defense).to_dict() for one in results]


def define_flags() -> None:
    """Defines the command's flags; a function, because one test may import several scripts."""
    flags.DEFINE_string("dataset", "mnist", "Dataset, as in mmtf.run.")
    flags.DEFINE_float("eta", 0.3, "Radius, for pixels in [-1, 1].")
    flags.DEFINE_integer(
        "steps",
        None,
        "Training steps of the defenses; default: the fast schedule's.",
        lower_bound=1,
    )
    flags.DEFINE_integer(
        "attack_steps", 2500, "Training steps of the best responses.", lower_bound=1
    )
    flags.DEFINE_integer(
        "max_examples", 0, "Number of test examples, from the first; 0 for all.", lower_bound=0
    )
    flags.DEFINE_integer("seed", 0, "Seed of the games, the best responses and random starts.")
    flags.DEFINE_string("runs", "runs/transfer", "Folder of the runs and best responses.")
    flags.DEFINE_string("output", str(RECORD), "Path of the record.")
    flags.DEFINE_string("figure", str(FIGURE), "Path of the heat map.")


if __name__ == "__main__":
    define_flags()
    app.run(main)
