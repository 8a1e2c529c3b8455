"""Measures the hypotheses on the protocol behind the paper's AttNet errors, cell by cell.

    python -m scripts.attnet_protocol
    python -m scripts.attnet_protocol --render

Trains the classifiers by `python -m mmtf.run`, against each a new network of the paper's recipe
(3 x 300 units, 500 of its 30,000 steps) under each hypothesis of `scripts.attnet_hypotheses`, and
measures FGSM and PGD-40 in the same ball. Writes results/section4/attnet_protocol.json after every
cell; stopped, the same command goes on. `--render` writes the blocks of docs/reproduction.md.
"""

import dataclasses
import os
import resource
from collections.abc import Iterator
from typing import Any

from absl import app, flags

from mmtf.cli.errors import in_one_line
from mmtf.reports import read_json, write_json
from mmtf.runtime import startup
from mmtf.storage.lock import hold_file
from scripts import attnet_protocol_page as page
from scripts.attnet_hypotheses import (
    ETAS,
    HYPOTHESES,
    KS,
    LONG,
    LONGER,
    NETS,
    Protocol,
    found,
    key_of,
    run_of,
)
from scripts.trained import train

# Test images drawn at random for the gradient attacks; other errors are of all test images.
DRAWN, SEED = {"fgsm": 1000, "pgd": 500}, 0
TUTORIAL = "--init=tutorial"
# The gradient game's fast schedule comes nearer to the paper's FGSM errors than `brief` does.
FLAGS_OF = {
    "undefended": f"--game=undefended --schedule=brief {TUTORIAL}",
    "undefended-dropout": f"--game=undefended --schedule=brief {TUTORIAL} --dropout=0.5",
    "minimax_grad": f"--game=minimax_grad --schedule=fast {TUTORIAL} --steps=800",
    "minimax_attnet": f"--game=minimax_attnet --schedule=brief {TUTORIAL} --steps=1500",
    "lwa": f"--game=lwa --schedule=brief {TUTORIAL} --steps=100000 --curve_every=1000",
}
FLAGS = flags.FLAGS


@dataclasses.dataclass(frozen=True)
class Task:
    """The attacks on one net under one protocol at one printed radius."""

    net: str
    eta: float
    protocol: Protocol
    attacks: tuple[str, ...] = ("none", "attnet", "fgsm", "pgd")

    @property
    def run(self) -> str:
        """The run whose classifier is attacked."""
        return run_of(self.net, self.eta, self.protocol)


def tasks(games_k: int | None) -> Iterator[Task]:
    """What is measured, the most decisive first; cells that two tasks share are measured once.

    Args:
      games_k: the k of the network games; None: they are left out.
    """
    quick = ("none", "attnet")
    yield from (Task(NETS[0], 0.1, Protocol(k=k), quick) for k in (5, 3, 6, 1, 4, 2))
    yield Task(NETS[1], 0.1, Protocol(), (*quick, "fgsm"))
    yield from (Task(NETS[1], 0.1, Protocol(k=k), quick) for k in (5, 6))
    yield from (Task(net, 0.1, LONGER.protocol, quick) for net in reversed(NETS))
    yield from (Task(net, 0.1, Protocol(k=k), ("fgsm",)) for k in KS for net in NETS)
    others = [one.protocol for one in HYPOTHESES if one.protocol]
    others = [one for one in others if one != Protocol(k=one.k)]
    # PGD in the ball of 2 eta without the box bounds two hypotheses, in that of eta two others.
    yield Task(NETS[1], 0.1, Protocol(), ("pgd",))
    yield Task(NETS[1], 0.1, Protocol(k=2, clip="ball"), ("fgsm", "pgd"))
    yield Task(NETS[1], 0.1, Protocol(mode="training"), ("none", "fgsm"))
    yield from (Task(net, 0.1, Protocol(k=7), quick) for net in reversed(NETS))
    others.sort(key=lambda one: (one.images != "test", one.clip != "box", one.k < 2))
    yield from (Task(NETS[1], 0.1, one, quick) for one in others)
    yield from (Task(net, 0.1, Protocol(k=k)) for k in (1, 8) for net in reversed(NETS))
    for eta in ETAS[1:]:
        yield from (Task(net, eta, Protocol(k=k), quick) for k in (5, 6) for net in NETS)
        yield Task(NETS[1], eta, Protocol(), ("none", "fgsm"))
    yield Task(*LONG, Protocol())
    if games_k is not None:
        games = (*quick, "fgsm")
        yield from (Task("minimax_attnet", eta, Protocol(k=games_k), games) for eta in ETAS)
    yield from (Task(NETS[0], 0.1, one, quick) for one in others)
    yield from (Task(net, eta, Protocol(k=k)) for k in (1, 7, 6) for eta in ETAS for net in NETS)
    yield from (
        Task(net, eta, Protocol(k=k)) for k in (5, 8, 4, 3, 2) for eta in ETAS for net in NETS
    )


def in_training_mode(model: Any) -> Any:
    """A Keras model that shares the weights of a Sequential and always applies its dropout.

    Args:
      model: a keras.Sequential.
    """
    import keras

    class Always(keras.layers.Layer):
        """Dropout, whatever `training` is."""

        def __init__(self, rate: float):
            super().__init__()
            self.rate, self.draws = rate, keras.random.SeedGenerator(SEED)

        def call(self, x: Any) -> Any:
            return keras.random.dropout(x, self.rate, seed=self.draws)

    images = hidden = keras.Input(model.input_shape[1:])
    for layer in model.layers:
        layer = Always(layer.rate) if isinstance(layer, keras.layers.Dropout) else layer
        hidden = layer(hidden)
    return keras.Model(images, hidden)


def measured(model: Any, data: Any, task: Task, attack: str, recipe: Any) -> dict[str, Any]:
    """The error of a classifier under one attack of a task, with its 95 % Wilson interval.

    Args:
      model: the Keras classifier.
      data: the Dataset; an attack network is trained on its training split.
      task: the protocol and the radius.
      attack: `none`, `fgsm`, `pgd` or `attnet`.
      recipe: the AttNetRecipe of `attnet`, but for its steps and the label.
    """
    from mmtf.attacks import ATTACKS
    from mmtf.evaluation.best_response import best_response
    from mmtf.evaluation.drawing import with_drawn_test
    from mmtf.evaluation.runner import measure
    from mmtf.threat import ThreatModel

    eta, box = task.protocol.bounds(task.eta)
    threat = ThreatModel(eta=eta, box=box)
    model = in_training_mode(model) if task.protocol.mode == "training" else model
    if attack == "attnet":
        options = {**recipe.net_options, "label": task.protocol.label}
        schedule = dataclasses.replace(recipe.schedule, steps=task.protocol.steps)
        recipe = dataclasses.replace(recipe, net_options=options, schedule=schedule)
        seen = data
        if task.protocol.images == "test":
            split = {"train_images": data.test_images, "train_labels": data.test_labels}
            seen = dataclasses.replace(data, **split)
        made = best_response(model, seen, threat, recipe, seed=SEED, progress=False)
    else:
        made = ATTACKS[attack](threat)
    on = with_drawn_test(data, DRAWN.get(attack, 0), SEED)
    told = measure(model, made, *on.test(), name=attack, seed=SEED).to_dict()
    return {one: told[one] for one in ("error", "ci_low", "ci_high", "n")}


@in_one_line("scripts.attnet_protocol")
def main(_: list[str]) -> None:
    """Measures the cells that are missing, or renders."""
    if not FLAGS.render:
        lock = hold_file(FLAGS.output)
        _measure_all()
        lock.close()
    page.write(FLAGS.output)


def _measure_all() -> None:
    startup.import_tensorflow()
    from mmtf import load_data
    from mmtf.classifiers.keras_files import load_keras
    from mmtf.evaluation.best_response import ATTNET_PAPER
    from mmtf.storage.provenance import provenance

    record = {"runs": {}, "cells": []}
    if os.path.exists(FLAGS.output):
        record = read_json(FLAGS.output)
    record |= provenance()
    data, models = load_data("mnist"), {}
    for task in tasks(FLAGS.games_k):
        keys = [key_of(task.run, task.eta, task.protocol, attack) for attack in task.attacks]
        keys = [key for key in keys if found(record["cells"], key) is None]
        for key in keys:
            if task.run not in models:
                folder = _trained(task, record)
                models[task.run] = load_keras(os.path.join(folder, "classifier.keras"))
            before = _cpu_seconds()
            cell = measured(models[task.run], data, task, key["attack"], ATTNET_PAPER)
            cell |= {"cpu_seconds": round(_cpu_seconds() - before, 1), "commit": record["commit"]}
            record["cells"].append({**key, **cell})
            write_json(FLAGS.output, record)
            print(f"{key} {cell['error']:.4f} {cell['cpu_seconds']:.0f} s", flush=True)


def _trained(task: Task, record: dict) -> str:
    """The folder of the finished run, whose settings and curve are put into the record."""
    eta, _ = task.protocol.bounds(task.eta) if task.net == "minimax_attnet" else (task.eta, None)
    kind = task.run if task.run in FLAGS_OF else task.net
    given = [*FLAGS_OF[kind].split(), "--dataset=mnist", f"--seed={SEED}"]
    given += ["--attacks=none,fgsm,pgd", "--max_examples=1000"] if kind == "lwa" else []
    given += [] if kind == "lwa" else ["--attacks=none"]
    given += [] if task.net == "undefended" else [f"--eta={eta:g}"]
    folder = os.path.join(FLAGS.workdirs, task.run)
    if not os.path.exists(os.path.join(folder, "record.json")):
        train(task.run, given, folder)
    told = read_json(os.path.join(folder, "record.json"))
    record["runs"].setdefault(
        task.run,
        {
            "command": ["mmtf.run", *given],
            "training": told["training"],
            "precision": told["precision"],
            "curve": told["curve"],
        },
    )
    return folder


def _cpu_seconds() -> float:
    """Processor seconds of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def define_flags() -> None:
    """Defines the command's flags; a function, because one test may import several scripts."""
    flags.DEFINE_string("output", str(page.RECORD), "Path of the record.")
    flags.DEFINE_string("workdirs", "runs/attnet_protocol", "Folder of the classifiers' runs.")
    flags.DEFINE_integer(
        "games_k",
        None,
        "The k of the network games; default: they are not measured.",
        KS[0],
        KS[-1],
    )
    flags.DEFINE_bool("render", False, "Only write the pages from the record.")


if __name__ == "__main__":
    define_flags()
    app.run(main)
