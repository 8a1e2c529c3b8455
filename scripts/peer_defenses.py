"""Every defense under the same attacks: one table, and the page "Which defense should I use?".

    python -m scripts.peer_defenses --dataset=mnist --eta=0.3,0.6
    python -m scripts.peer_defenses --dataset=cifar10
    python -m scripts.peer_defenses --render

Trains each game at each radius by `python -m mmtf.run` and measures the nets on the same test
images: clean, FGSM, PGD, PGD transferred from the undefended net, the worst of them, and the error
certified by cheap bounds. AutoAttack runs on the nets that lead without it (`--finalists`).
Stopped, the same command goes on: training from its checkpoint, measuring from its finished cells.
It writes a record for each net, and in the end the HTML page of the table and
docs/which_defense.md (`scripts.peer_defenses_page`).
"""

import os
import shlex
import sys
from typing import Any

from absl import app, flags

from mmtf.cli.errors import in_one_line
from mmtf.errors import ConfigError, require
from mmtf.games import GAMES
from mmtf.presets import preset
from mmtf.radius import parse_radius
from mmtf.reports import read_json, write_json
from mmtf.runtime import startup
from mmtf.stats.packed_bits import pack
from scripts import peer_defenses_page, peer_defenses_ranking
from scripts.trained import pairs, refuse_trial, train

SURROGATE = "undefended"
# The attack network's game is the dearest of the paper's; the other games are those users compare.
GAMES_SHOWN = (
    *("undefended", "lwa", "minimax_grad", "adv_pgd", "minimax_attnet", "mtl_ibp"),
    *("trades", "mart", "adv_pgd_awp", "trades_awp", "fgsm_rs", "n_fgsm", "grad_align", "free"),
    *("cure", "llr", "input_gradient", "distillation", "ensemble_adv"),
)
# Names that are a game with further flags.
VARIANTS = {
    "adv_pgd_awp": "--game=adv_pgd --awp_gamma=0.01",
    "trades_awp": "--game=trades --awp_gamma=0.005",
}
# Attacks that cost more than a training: only those nets meet them that lead without them.
DEAR = ("autoattack",)
# Entries of a record that say what was measured: a net is measured again if one differs.
ASKED = ("etas", "seed", "drawn", "dataset", "models")
FLAGS = flags.FLAGS


def define_flags() -> None:
    """Defines the command's flags; a function, because one test may import several scripts."""
    flags.DEFINE_list("games", list(GAMES_SHOWN), "Games that are compared.")
    flags.DEFINE_multi_string(
        "train",
        [],
        "NAME=FLAGS: also compare a net NAME, trained with these further flags of mmtf.run, whose "
        "--game is NAME unless it is among them: --train='trades6=--game=trades --beta=6'.",
    )
    flags.DEFINE_string("dataset", "mnist", "Dataset, as of mmtf.run.")
    flags.DEFINE_list("eta", None, "Radii of training and attack; default: the dataset's.")
    flags.DEFINE_string("net", None, "Net of all games, as of mmtf.run; default: the dataset's.")
    flags.DEFINE_string(
        "run_flags", "", "Further flags of mmtf.run for all games: '--eta_ramp=0.25 --width=32'."
    )
    flags.DEFINE_integer(
        "steps", None, "Training steps of all games; default: each game's preset.", lower_bound=1
    )
    flags.DEFINE_integer(
        "examples", 1000, "Test images, drawn at random; 0 for all.", lower_bound=0
    )
    flags.DEFINE_integer("pgd_restarts", 2, "Random restarts of PGD-40.", lower_bound=1)
    flags.DEFINE_list("attacks", ["none", "fgsm", "pgd", "autoattack"], "Attacks on each net.")
    flags.DEFINE_integer(
        "finalists",
        6,
        f"Number of nets that also meet {', '.join(DEAR)}: those of the smallest worst-case error "
        "under the other attacks. 0: all.",
        lower_bound=0,
    )
    flags.DEFINE_integer("seed", 0, "Seed of training, of the draw and of attacks.", lower_bound=0)
    flags.DEFINE_string("workdirs", "runs/peer_defenses", "Folder of the runs and of the cells.")
    flags.DEFINE_string(
        "output", str(peer_defenses_ranking.RECORDS), "Folder of the records and of the HTML page."
    )
    flags.DEFINE_string("page", str(peer_defenses_page.PAGE), "The page that is written.")
    flags.DEFINE_bool("render", False, "Only write the pages from the records.")


@in_one_line("scripts.peer_defenses")
def main(_: list[str]) -> int:
    """Trains, measures and renders; returns the exit status."""
    if not FLAGS.render:
        steps = FLAGS.steps is not None or "--steps" in FLAGS.run_flags
        trial = steps or FLAGS.dataset not in ("mnist", "cifar10")
        committed = peer_defenses_ranking.RECORDS, peer_defenses_page.PAGE
        refuse_trial(trial, FLAGS.output, FLAGS.page, committed)
        added = pairs("train", FLAGS.train)
        given = {**VARIANTS, **added}
        names = list(dict.fromkeys([*FLAGS.games, *added]))
        require(bool(names), "a game", "none")
        for name in names:
            if "--game=" not in given.get(name, ""):
                GAMES.require_known(name)  # now, not after hours of training the others
        etas = FLAGS.eta or [str(preset("eta", dataset=FLAGS.dataset))]
        for eta in etas:
            surrogate = _trained(SURROGATE, "", eta)
            nets = {}
            for name in names:
                nets[name] = _trained(name, given.get(name, ""), eta)
                _measure(name, nets[name], surrogate, eta, _attacks(dear=False))
            if _attacks(dear=True) != _attacks(dear=False):
                _finals(nets, surrogate, eta)
    peer_defenses_page.write(FLAGS.output, FLAGS.page)
    return 0


def place(name: str, eta: str) -> str:
    """Name of the files of a net trained at a radius."""
    return f"{FLAGS.dataset}-eta{float(parse_radius(eta)):g}-{name}"


def _trained(name: str, further: str, eta: str) -> str:
    """The workdir of the finished net."""
    own = shlex.split(further)
    command = [f"--dataset={FLAGS.dataset}", f"--eta={eta}", f"--seed={FLAGS.seed}"]
    command += [] if any(one.startswith("--game=") for one in own) else [f"--game={name}"]
    command += ["--attacks=none", *([f"--net={FLAGS.net}"] if FLAGS.net else [])]
    command += [f"--steps={FLAGS.steps}"] if FLAGS.steps else []
    command += shlex.split(FLAGS.run_flags)
    return train(name, [*command, *own], os.path.join(FLAGS.workdirs, place(name, eta)))


def _finals(nets: dict[str, str], surrogate: str, eta: str) -> None:
    """Measures the nets that lead under all attacks, until all that lead were: ranks may change."""
    met: set[str] = set()
    while True:
        ranked = sorted(nets, key=lambda name: (_worst(name, eta), name))
        leading = [name for name in ranked[: FLAGS.finalists or None] if name not in met]
        if not leading:
            return
        for name in leading:
            _measure(name, nets[name], surrogate, eta, _attacks(dear=True))
            met.add(name)


def _file(name: str, eta: str) -> str:
    return os.path.join(FLAGS.output, f"{place(name, eta)}.json")


def _worst(name: str, eta: str) -> float:
    """The worst-case error of a net, from its record."""
    return peer_defenses_ranking.Defense(name, read_json(_file(name, eta))).worst


def _measure(
    name: str, path: str, surrogate: str, eta: str, attacks: dict[str, dict[str, Any]]
) -> None:
    """Writes the record of a net, unless there is one of these attacks, or more."""
    startup.import_tensorflow()
    from mmtf.bounds.cascade import certify
    from mmtf.classifiers.loading import load_classifier
    from mmtf.data import load_data
    from mmtf.evaluation.drawing import with_drawn_test
    from mmtf.evaluation.options import EvalOptions
    from mmtf.evaluation.payoff import payoff_matrix
    from mmtf.evaluation.proved import CHEAP_VERIFIERS
    from mmtf.evaluation.report import evaluation_record, model_source
    from mmtf.threat import ThreatModel

    radius = float(parse_radius(eta))
    trained = read_json(os.path.join(path, "record.json"))
    settings = {
        "etas": [radius],
        "seed": FLAGS.seed,
        "attacks": attacks,
        "drawn": FLAGS.examples,
        "dataset": FLAGS.dataset,
        "models": {name: {**model_source(path), "path": os.path.basename(path)}},
        "config": read_json(os.path.join(path, "config.json")),
        "training": trained["training"],
    }
    file = _file(name, eta)
    if os.path.exists(file) and _is_of(read_json(file), settings):
        print(f"{name}: {file} is there", file=sys.stderr, flush=True)
        return
    dataset = with_drawn_test(load_data(FLAGS.dataset), FLAGS.examples, FLAGS.seed)
    model = load_classifier(path, name)
    matrix = payoff_matrix(
        {name: model},
        settings["attacks"],
        dataset,
        etas=[radius],
        sources={} if name == SURROGATE else {SURROGATE: load_classifier(surrogate, SURROGATE)},
        options=EvalOptions(
            seed=FLAGS.seed,
            checks=False,  # AutoAttack needs no gradients in one of its parts
            skip_certified=True,
            cache_dir=os.path.join(FLAGS.workdirs, "cells"),
            progress=True,
        ),
        say=lambda line: print(line, file=sys.stderr, flush=True),
    )
    record = evaluation_record(matrix, dataset, settings)
    record["wrong"] = {one.attack: pack(one.wrong) for one in matrix.cells}
    record["certified"] = None
    try:
        x, y = dataset.test_inputs(0)
        found = certify(model, x, y, ThreatModel(eta=radius), CHEAP_VERIFIERS)
        record["certified"] = found.certified_error
    except ConfigError as error:  # a layer without bounds
        print(f"{name}: not certified: {error}", file=sys.stderr, flush=True)
    os.makedirs(FLAGS.output, exist_ok=True)
    write_json(file, record)


def _is_of(record: dict[str, Any], settings: dict[str, Any]) -> bool:
    same = all(record.get(key) == settings[key] for key in ASKED)
    return same and settings["attacks"].items() <= record["attacks"].items()


def _attacks(*, dear: bool) -> dict[str, dict[str, Any]]:
    """Attack -> its settings, with those of DEAR or without."""
    found: dict[str, dict[str, Any]] = {n: {} for n in FLAGS.attacks if dear or n not in DEAR}
    if "pgd" in found:
        found["pgd"] = {"steps": 40, "restarts": FLAGS.pgd_restarts}
    return found


if __name__ == "__main__":
    define_flags()
    app.run(main)
