"""`python -m mmtf.privacy`: filters that keep a target and hide a private attribute.

    python -m mmtf.privacy --data=genki.mat --filter=linear --dimensions=10 --seeds=0,1,2,3,4

Plays the privacy game (section 5.2 of the paper), trains attackers afresh on the filtered examples
and prints target and private accuracy beside those of baselines. Writes record.json, table.md, the
figure curve.png, TensorBoard logs and the filter as a SavedModel to the folder --output, from which
a stopped command resumes.
"""

import functools
import os
from typing import Any

from absl import flags

from mmtf.cli.defining import Definer, numbers
from mmtf.cli.errors import in_one_line, says_kept
from mmtf.cli.flags import require_used
from mmtf.cli.output_folder import claimed
from mmtf.cli.results import Results
from mmtf.errors import require, require_choice
from mmtf.runtime import startup
from mmtf.runtime.console import say

FLAGS = flags.FLAGS
NOISE_EPSILONS = (1.0, 10.0, 100.0)
FILES = ("record.json", "table.md", "curve.png")


def define_flags(values: flags.FlagValues = flags.FLAGS) -> None:
    """Defines the flags of `python -m mmtf.privacy` in `values`."""
    define = Definer(values)
    define.text(
        "data",
        "digits",
        "Examples with two labels: digits (embedded), a .mat file of GENKI, a .npz file with the "
        "arrays x, target and private, or tfds:NAME.",
    )
    define.text("target", None, "Feature of the target, with --data=tfds:NAME.")
    define.text("private", None, "Feature of the attribute to hide, with tfds:NAME.")
    define.data_dir()
    define.words("filter", ["linear"], "Filters, separated by commas, of: linear, network, conv.")
    define.whole("dimensions", 10, "Number of the filter's outputs.")
    define.number("rho", 0.3, "Weight of the target against the private attribute, > 0.")
    define.words("curve", [], "Values of rho, separated by commas, in place of --rho.")
    define.text("solver", "alternating", "Update rule: a solver of mmtf.solvers.")
    define.text("order", "minimax", "minimax (the filter leads) or maximin.")
    define.text("adversary", "mlp", "Adversary during the game: softmax (linear) or mlp.")
    define.text("start", "pca", "Start of the linear filter: pca, plda or random.")
    define.whole("steps", 1500, "Solver steps.")
    define.whole(
        "batch_size",
        0,
        "Examples in a step; 0: all, or 512 where there are more than 5,000.",
        least=None,
    )
    define.words(
        "attackers",
        ["softmax", "svm", "mlp", "forest"],
        "Attackers trained afresh on the filtered examples, of: softmax, svm, mlp, forest, "
        "boosting.",
    )
    define.words("seeds", ["0"], "Seeds, separated by commas.")
    define.switch("baselines", True, "Measure the baselines too.")
    define.text("output", None, "Folder of the results; default: runs/privacy-<data>.")


@in_one_line("mmtf.privacy", stopped=says_kept("Finished cells"))
def main(argv: list[str]) -> int:
    """Plays and measures the games that the flags describe; returns the exit status."""
    weights = numbers("curve", FLAGS.curve) or [FLAGS.rho]
    seeds = numbers("seeds", FLAGS.seeds, int)
    require_used(FLAGS, {"rho": (not FLAGS.curve, "one game (no --curve)")})
    require(all(0 < one < float("inf") for one in weights), "--rho and --curve > 0", weights)
    require(bool(seeds) and min(seeds) >= 0, "--seeds of whole numbers >= 0", FLAGS.seeds)
    startup.import_tensorflow()
    from mmtf.classifiers.export import save_filter
    from mmtf.privacy.baselines import BASELINES
    from mmtf.privacy.comparison import NOISES, Method, Settings, compare, rows_of, solved_game
    from mmtf.privacy.data import load_data
    from mmtf.privacy.filters import FILTERS, STARTS
    from mmtf.privacy.game import ADVERSARIES, ORDERS
    from mmtf.solvers import SOLVERS

    known = {"solver": SOLVERS, "order": ORDERS, "adversary": ADVERSARIES, "start": STARTS}
    for flag, choices in known.items():
        require_choice(f"--{flag}", FLAGS[flag].value, choices)
    require(bool(FLAGS.filter), "--filter with at least one name", FLAGS.filter)
    for name in FLAGS.filter:
        require_choice("--filter", name, FILTERS)
    settings = Settings(
        dimensions=FLAGS.dimensions,
        solver=FLAGS.solver,
        order=FLAGS.order,
        adversary=FLAGS.adversary,
        steps=FLAGS.steps,
        start=FLAGS.start,
        batch_size=FLAGS.batch_size or None,
        attackers=tuple(FLAGS.attackers),
    )
    data = load_data(
        FLAGS.data, target=FLAGS.target, private=FLAGS.private, data_dir=FLAGS.data_dir
    )
    methods = [Method(name, rho) for name in FLAGS.filter for rho in weights]
    if FLAGS.baselines:
        methods += [Method(name) for name in BASELINES]
        methods += [Method(name, epsilon) for name in NOISES for epsilon in NOISE_EPSILONS]
    output = FLAGS.output or os.path.join("runs", f"privacy-{data.name}")
    with claimed(output, FILES) as cells:
        measured = compare(
            data,
            methods,
            settings,
            seeds=seeds,
            folder=cells,
            say=say,
            played=functools.partial(_log, output),
        )
        results = Results(output)
        _write(results, data, settings, measured, rows_of(measured))
        # From its checkpoint, so that it is the filter of this command's settings.
        first = solved_game(data, methods[0], settings, seeds[0], cells)
        save_filter(first.filter, results.add("filter"))
    results.tell()
    return 0


def _log(output: str, method: Any, seed: int, solved: Any) -> None:
    """Writes the curves of a solved game for TensorBoard."""
    from mmtf.training.logs import Logs

    name = f"{method.label}, seed {seed}".replace(" ", "_").replace(",", "")
    logs = Logs(os.path.join(output, "logs", name), {"method": method.label})
    for point in solved.history:
        logs.scalars(int(point["step"]), {k: v for k, v in point.items() if k != "step"})
    logs.close()


def _write(results: Results, data: Any, settings: Any, cells: list, rows: list) -> None:
    """Prints the table and writes the files but the filter."""
    import dataclasses

    import numpy as np

    from mmtf.privacy import report
    from mmtf.storage.provenance import provenance

    chance = float(np.bincount(data.private_test).max() / len(data.private_test))
    text = report.table(rows, data.target, data.private, reference=data.name == "genki")
    words = report.sentence(rows, chance)
    print(f"{text}\n\n{words}")
    record = {
        "data": {"name": data.name, "fingerprint": data.fingerprint, "chance": chance},
        "settings": dataclasses.asdict(settings),
        "rows": report.to_json(rows),
        "cells": cells,
        "provenance": provenance(),
    }
    results.json("record.json", record)
    results.text("table.md", f"{text}\n\n{words}\n")
    names = {"target": data.target, "private": data.private}
    results.figure("curve.png", lambda path: report.curve(rows, path, chance=chance, **names))
