"""Brackets around the true worst-case error of games, and the page "How robust is it really?".

    python -m scripts.brackets
    python -m scripts.brackets --games=mtl_ibp,union --model=adv_pgd=runs/adv_pgd-mnist-eta0.3-seed0
    python -m scripts.brackets --render

Trains each game by `python -m mmtf.run`, measures attacked and certified errors of each net on test
images that are drawn at random, and writes a record for each to results/brackets. Stopped, the same
command goes on: training from its checkpoint, measuring from its finished cells. In the end it
draws docs/how_robust.md and its figure from the records (`scripts.brackets_page`).
"""

import os
import shlex
import sys
from typing import Any

from absl import app, flags

from mmtf.cli.errors import in_one_line
from mmtf.errors import require
from mmtf.games import GAMES
from mmtf.radius import as_radius
from mmtf.reports import read_json, write_json
from mmtf.runtime import startup
from scripts import brackets_page
from scripts.trained import pairs, refuse_trial, train

# Entries of a record that say what was measured: a net is measured again if one differs.
ASKED = ("etas", "norm", "seed", "attacks", "verifiers", "seconds_per_image", "drawn", "dataset")
FLAGS = flags.FLAGS


def define_flags() -> None:
    """Defines the command's flags; a function, because one test may import several scripts."""
    flags.DEFINE_list(
        "games", list(brackets_page.ORDER), "Games to train, as of --game of mmtf.run."
    )
    flags.DEFINE_multi_string(
        "model",
        [],
        "NAME=PATH of a model that is there, in place of training the game NAME. May be repeated.",
    )
    flags.DEFINE_multi_string(
        "train",
        [],
        "NAME=FLAGS: further flags of mmtf.run for the game NAME, or for a net of another name "
        "with its --game among them: --train='mtl_long=--game=mtl_ibp --schedule=long'.",
    )
    flags.DEFINE_string("dataset", "mnist", "Dataset, as of mmtf.run.")
    flags.DEFINE_string(
        "net", "strided_cnn", "Net of all games, as of mmtf.run; empty: each game's own."
    )
    flags.DEFINE_float("train_eta", 0.3, "Radius of training.")
    flags.DEFINE_list("etas", ["0.05", "0.1", "0.2", "0.3", "0.4"], "Radii that are measured.")
    flags.DEFINE_string("steps", None, "Steps of training, or `small`: 60, to try the script.")
    flags.DEFINE_integer(
        "examples", 1000, "Test images, drawn at random; 0 for all.", lower_bound=0
    )
    flags.DEFINE_integer("seed", 0, "Seed of training, of the draw and of attacks.", lower_bound=0)
    flags.DEFINE_list(
        "attacks", ["none", "fgsm", "pgd", "autoattack"], "Attacks, as of mmtf.evaluate."
    )
    flags.DEFINE_list(
        "verifiers", ["ibp", "crown_ibp", "crown", "alpha_crown"], "As of mmtf.evaluate."
    )
    flags.DEFINE_float("seconds_per_image", 2.0, "Time of verifiers for each open image.")
    flags.DEFINE_string("workdirs", "runs/brackets", "Folder of the trained runs and of the cells.")
    flags.DEFINE_string("output", str(brackets_page.RECORDS), "Folder of the records.")
    flags.DEFINE_string("page", str(brackets_page.PAGE), "The page that is written.")
    flags.DEFINE_bool("render", False, "Only write the page from the records.")


@in_one_line("scripts.brackets")
def main(_: list[str]) -> int:
    """Trains, measures and renders; returns the exit status."""
    if not FLAGS.render:
        given, trained = pairs("model", FLAGS.model), pairs("train", FLAGS.train)
        names = list(dict.fromkeys([*FLAGS.games, *given, *trained]))
        require(bool(names), "a game or a model", "none")
        trial = FLAGS.steps is not None or FLAGS.dataset != "mnist"
        refuse_trial(trial, FLAGS.output, FLAGS.page, (brackets_page.RECORDS, brackets_page.PAGE))
        for name in names:
            if name not in given and "--game=" not in trained.get(name, ""):
                GAMES.require_known(name)  # now, not after hours of training the others
        for name in names:
            path = given.get(name) or _trained(name, shlex.split(trained.get(name, "")))
            _measure(name, path)
    brackets_page.write(FLAGS.output, FLAGS.page)
    return 0


def run_flags(name: str, further: list[str]) -> list[str]:
    """Returns the flags of mmtf.run that train a net.

    Args:
      name: of the game; of the net, if --game is among `further`.
      further: flags of mmtf.run, which override the others.
    """
    own = any(one.startswith("--game=") for one in further)
    flags_ = [f"--dataset={FLAGS.dataset}", *([] if own else [f"--game={name}"])]
    flags_ += [f"--eta={FLAGS.train_eta}", f"--seed={FLAGS.seed}", "--attacks=none"]
    flags_ += [f"--net={FLAGS.net}"] if FLAGS.net else []
    if FLAGS.steps is not None:
        flags_.append(f"--steps={60 if FLAGS.steps == 'small' else FLAGS.steps}")
    return [*flags_, *further]


def _trained(name: str, further: list[str]) -> str:
    return train(name, run_flags(name, further), os.path.join(FLAGS.workdirs, name))


def _measure(name: str, path: str) -> None:
    """Writes the record of a net, unless there is one of the same measurement."""
    startup.import_tensorflow()
    from mmtf.classifiers.loading import load_classifier
    from mmtf.data import load_data
    from mmtf.evaluation.certified import Certification, with_certificates
    from mmtf.evaluation.drawing import with_drawn_test
    from mmtf.evaluation.options import EvalOptions
    from mmtf.evaluation.payoff import payoff_matrix
    from mmtf.evaluation.report import evaluation_record, model_source

    settings = _settings(name, path, model_source(path))
    file = os.path.join(FLAGS.output, f"{name}.json")
    if os.path.exists(file) and _is_of(read_json(file), settings):
        print(f"{name}: {file} is there", file=sys.stderr, flush=True)
        return
    dataset = with_drawn_test(load_data(FLAGS.dataset), FLAGS.examples, FLAGS.seed)
    models = {name: load_classifier(path, name)}
    how = Certification(verifiers=FLAGS.verifiers, seconds_per_image=FLAGS.seconds_per_image)
    etas = settings["etas"]
    options = EvalOptions(
        seed=FLAGS.seed,
        checks=False,  # a certificate says more than they can
        distances=True,
        skip_certified=True,
        cache_dir=os.path.join(FLAGS.workdirs, "cells"),
        progress=True,
    )

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    graphs = how.graphs(models, etas, "linf")
    given: dict[str, Any] = {"etas": etas, "options": options, "say": say}
    matrix = payoff_matrix(models, settings["attacks"], dataset, **given)
    matrix = with_certificates(matrix, graphs, dataset, how, norm="linf", **given)
    os.makedirs(FLAGS.output, exist_ok=True)
    write_json(file, evaluation_record(matrix, dataset, settings))


def _settings(name: str, path: str, source: dict[str, str]) -> dict[str, Any]:
    """The entries of a record that say what is measured, and how the net was trained."""
    attacks: dict[str, dict[str, Any]] = {one: {} for one in FLAGS.attacks if one != "certified"}
    if "pgd" in attacks:
        attacks["pgd"] = {"steps": 40, "restarts": 2}
    config = os.path.join(path, "config.json")
    trained = read_json(config) if os.path.isfile(config) else None
    record = os.path.join(path, "record.json")
    training = read_json(record)["training"] if trained and os.path.isfile(record) else None
    return {
        "etas": sorted(float(as_radius("etas", eta)) for eta in FLAGS.etas),
        "norm": "linf",
        "seed": FLAGS.seed,
        "attacks": attacks,
        "eot_samples": 1,
        "verifiers": FLAGS.verifiers,
        "seconds_per_image": FLAGS.seconds_per_image,
        "drawn": FLAGS.examples,
        "dataset": FLAGS.dataset,
        "models": {name: {**source, "path": os.path.basename(path)}},
        **({} if trained is None else {"config": trained, "training": training}),
    }


def _is_of(record: dict[str, Any], settings: dict[str, Any]) -> bool:
    """Whether a record is of these settings and of the same model."""
    same = all(record.get(name) == settings[name] for name in ASKED)
    return same and record["models"] == settings["models"]


if __name__ == "__main__":
    define_flags()
    app.run(main)
