"""`python -m mmtf.mixture`: random choices among classifiers, against frozen and adaptive attacks.

    python -m mmtf.mixture --model=plain=runs/plain --model=lwa=runs/lwa --attacks=fgsm@*,pgd@* \\
        --adaptive --grow=3 --output=mixture

Measures nets under attacks frozen as functions of (x, y), solves the matrix game on held-out
training images, and compares the best single net, the uniform and the optimal mixture on test
images under three attackers. --grow adds trained best responses of both sides (double oracle). With
--output it writes record.json, table.md, errors.npz and the optimal mixture as a SavedModel; a
stopped command goes on from the networks that are trained.
"""

import dataclasses
import os
import time
from typing import Any

from absl import flags

from mmtf.cli.errors import in_one_line, says_kept
from mmtf.cli.evaluate_data import chosen_dataset, workdir_of
from mmtf.cli.evaluate_flags import path_and_name
from mmtf.cli.flags import require_pixel_scale
from mmtf.cli.mixture_flags import checked_flags, define_flags
from mmtf.cli.mixture_nets import (
    Trained,
    attacker_recipe,
    first_models,
    grown,
    trained_net,
)
from mmtf.cli.models import given_models
from mmtf.cli.output_folder import claimed
from mmtf.cli.results import Results
from mmtf.errors import ConfigError, require_names
from mmtf.radius import Radius
from mmtf.runtime import startup
from mmtf.runtime.console import say

__all__ = ["define_flags", "main"]

FLAGS = flags.FLAGS
FILES = ("record.json", "table.md", "errors.npz")
ALPHAS = (0.0, 0.01, 0.1, 0.5, 1.0)


@in_one_line("mmtf.mixture", stopped=says_kept("Trained networks", lambda: FLAGS.output))
def main(argv: list[str]) -> int:
    """Compares and grows the mixtures that the flags describe; returns the exit status."""
    eta = checked_flags(FLAGS)
    with claimed(FLAGS.output, FILES) as cells:
        return _mix(eta, cells)


def _mix(eta: Radius, cells: str | None) -> int:
    began = time.monotonic()
    startup.import_tensorflow()
    from mmtf.data import load_data
    from mmtf.mixtures.comparison import Measurer, by_alpha, single_nets, strategies
    from mmtf.mixtures.frozen import column_names
    from mmtf.mixtures.payoffs import PayoffTable
    from mmtf.mixtures.report import entry, growth_of, matrix_of
    from mmtf.threat import ThreatModel

    threat = ThreatModel(eta=eta, norm=FLAGS.norm)
    given = given_models(FLAGS)
    names = [*given, *FLAGS.train]
    require_names("models", names)
    columns = column_names(FLAGS.attacks, names)
    start = first_models(FLAGS, names)
    paths = [path_and_name(one)[0] for one in FLAGS.model]
    name = chosen_dataset(FLAGS.dataset, paths, given.values()) if given else FLAGS.dataset
    name = name or "mnist"
    require_pixel_scale(FLAGS, name, FLAGS.preprocess)
    whole = load_data(name, FLAGS.data_dir, preprocess=FLAGS.preprocess)
    data = whole.holdout(FLAGS.selection, FLAGS.seed)
    if given:
        say("Models given by --model may have seen the held-out images in training.")
    trained = {one: trained_net(FLAGS, one, data, eta, cells) for one in FLAGS.train}
    models = {**given, **{one: found.classifier for one, found in trained.items()}}
    held = PayoffTable(*data.test(), seed=FLAGS.seed)
    test = PayoffTable(*whole.test(FLAGS.max_examples), seed=FLAGS.seed)
    held.add(models)
    attacks = _attacks(columns, held.defenses, threat, data, cells)
    for table in (held, test):
        table.add(models, attacks)
    selected, measured = held.payoffs(), test.payoffs()
    options = {"steps": FLAGS.adaptive_steps, "restarts": FLAGS.adaptive_restarts}
    attacked = Measurer(test, threat if FLAGS.adaptive else None, seed=FLAGS.seed, **options)
    chosen = [*strategies(selected, FLAGS.alpha), *single_nets(selected, FLAGS.alpha)]
    entries = [entry(one, attacked(one.p, list(attacks))) for one in chosen]
    record: dict[str, Any] = {
        "dataset": whole.name,
        "note": whole.note,
        "threat": dataclasses.asdict(threat),
        "settings": _settings(),
        "models": {
            one: _source(one, trained, dict(zip(given, paths, strict=True))) for one in models
        },
        "selection": matrix_of(selected),
        "test": matrix_of(measured),
        "strategies": entries,
        "bayesian": by_alpha(selected, ALPHAS),
    }
    if FLAGS.grow:
        found = grown(FLAGS, held, data, threat, start, attacks, cells)
        test.add(held.defenses, held.attacks)
        every = list(test.attacks)
        mixed = strategies(held.payoffs(found.defenses, every))
        compared = [entry(one, attacked(one.p, every)) for one in mixed]
        record["grown"] = {**growth_of(found), "strategies": compared}
        record["grown"]["test"] = matrix_of(test.payoffs())
    # Of this process: networks kept by a stopped one are not counted.
    record["seconds"] = round(time.monotonic() - began, 1)
    record["cpu_seconds"] = round(time.process_time(), 1)
    text = _text(record)
    print(text)
    if FLAGS.output:
        results = Results(FLAGS.output)
        _write(results, record, text, selected, measured)
        _export(results, models, entries, whole)
        results.tell()
    return 0


def _attacks(
    columns: list[str], models: dict[str, Any], threat: Any, data: Any, cells: str | None
) -> dict[str, Any]:
    """The columns of --attacks and of --attack_network, functions of (x, y)."""
    from mmtf.evaluation.attack_specs import RECIPES
    from mmtf.mixtures.frozen import frozen_attacks, load_attack_network

    found: dict[str, Any] = frozen_attacks(
        columns,
        models,
        threat,
        data,
        options={"pgd": {"steps": FLAGS.pgd_steps}},
        recipes={**RECIPES, "attnet": attacker_recipe(FLAGS)},
        seed=FLAGS.seed,
        cache_dir=cells,
        progress=True,
    )
    for one in FLAGS.attack_network:
        path, name = path_and_name(one)
        if name is None or name in found:
            raise ConfigError(f"Expected --attack_network=NAME=PATH, NAME new. Received: {one}.")
        found[name] = load_attack_network(path, threat, data)
    return found


def _settings() -> dict[str, Any]:
    names: tuple[str, ...] = (
        "alpha",
        "adaptive",
        "adaptive_steps",
        "adaptive_restarts",
        "grow",
        "gap",
    )
    names += ("defender_steps", "pgd_steps", "selection", "max_examples", "seed")
    return {
        **{name: FLAGS[name].value for name in names},
        "attacker": attacker_recipe(FLAGS).to_dict(),
    }


def _source(name: str, trained: dict[str, Trained], paths: dict[str, str]) -> dict[str, Any]:
    """Where a net comes from: its game and configuration, or the last part of its path."""
    if name in trained:
        return trained[name].about
    path = paths[name]
    return {"path": os.path.basename(path.rstrip("/")), "run": workdir_of(path) is not None}


def _text(record: dict[str, Any]) -> str:
    """What is printed: the verdict and the tables."""
    from mmtf.mixtures import report

    parts = [
        report.verdict(record["strategies"]),
        report.matrix_table(record["test"]),
        report.weights_table(record["strategies"]),
        report.attackers_table(record["strategies"]),
        report.alpha_table(record["bayesian"]),
    ]
    if "grown" in record:
        grown = record["grown"]
        parts += [
            f"Double oracle stopped by {grown['stopped']}; its oracles train, so its bracket is "
            "approximate. "
            + report.growth_verdict(grown, grown["strategies"], record["strategies"]),
            report.rounds_table(grown),
            report.weights_table(grown["strategies"]),
            report.attackers_table(grown["strategies"]),
        ]
    return "\n\n".join(parts)


def _write(
    results: Results, record: dict[str, Any], text: str, selected: Any, measured: Any
) -> None:
    """Writes the files but the SavedModel."""
    import numpy as np

    from mmtf.storage.files import write_atomically
    from mmtf.storage.provenance import provenance

    def save(path: str) -> None:
        with open(path, "wb") as target:
            np.savez_compressed(
                target,
                selection=selected.wrong,
                selection_clean=selected.clean,
                test=measured.wrong,
                test_clean=measured.clean,
            )

    results.json("record.json", {**record, **provenance()})
    results.text("table.md", text + "\n")
    write_atomically(results.add("errors.npz"), save)


def _export(
    results: Results, models: dict[str, Any], entries: list[dict[str, Any]], data: Any
) -> None:
    """Writes the optimal mixture as a SavedModel."""
    from mmtf.mixtures.comparison import OPTIMAL
    from mmtf.mixtures.mixed_classifier import Mixture
    from mmtf.mixtures.serving import save_mixture

    p = next(one["p"] for one in entries if one["strategy"] == OPTIMAL)
    mixture = Mixture({name: models[name] for name in p}, list(p.values()), FLAGS.seed)
    if mixture.keras_model is None:
        say("No export: not all nets of the mixture are Keras models.")
        return
    save_mixture(mixture, data.preprocess, data.image_shape, results.add("mixture"))
