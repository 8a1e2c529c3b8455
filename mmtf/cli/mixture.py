"""`python -m mmtf.mixture`: random choices among classifiers, against frozen and adaptive attacks.

    python -m mmtf.mixture --model=plain=runs/plain --model=lwa=runs/lwa --attacks=fgsm@*,pgd@* \\
        --adaptive --grow=3 --output=mixture

Measures nets under attacks frozen as functions of (x, y), solves the matrix game on held-out
training images, and compares the best single net, the uniform and the optimal mixture on test
images under three attackers. --grow adds trained best responses of both sides (double oracle). With
--output it writes record.json, table.md, errors.npz and the optimal mixture as a SavedModel; a
stopped command goes on from the networks that are trained.
"""

import contextlib
import dataclasses
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

from absl import flags

from mmtf.cli.errors import about, in_one_line
from mmtf.cli.evaluate_data import chosen_dataset, workdir_of
from mmtf.cli.evaluate_flags import model_outputs, path_and_name, pixel_ranges
from mmtf.cli.mixture_flags import checked_flags, define_flags
from mmtf.errors import ConfigError, Interrupted, require, require_choice, require_names
from mmtf.radius import Radius
from mmtf.runs.reading import is_run
from mmtf.runtime import startup
from mmtf.storage.files import remove_partial
from mmtf.storage.lock import hold_new

__all__ = ["define_flags", "main"]

FLAGS = flags.FLAGS
FILES = ("record.json", "table.md", "errors.npz")
ALPHAS = (0.0, 0.01, 0.1, 0.5, 1.0)


def _stopped(number: int, interrupted: Interrupted | None) -> int:
    kept = f"Trained networks are in {FLAGS.output}; the same command goes on from them."
    print("Stopped. " + (kept if FLAGS.output else "Nothing is kept without --output."))
    return 128 + number


@in_one_line("mmtf.mixture", stopped=_stopped)
def main(argv: list[str]) -> int:
    """Compares and grows the mixtures that the flags describe; returns the exit status."""
    eta = checked_flags(FLAGS)
    with _claimed(FLAGS.output) if FLAGS.output else contextlib.nullcontext():
        return _mix(eta)


def _mix(eta: Radius) -> int:
    began = time.monotonic()
    startup.import_tensorflow()
    from mmtf.data import load_data
    from mmtf.mixtures.comparison import Measurer, by_alpha, single_nets, strategies
    from mmtf.mixtures.frozen import column_names, frozen_attacks, load_attack_network
    from mmtf.mixtures.payoffs import PayoffTable
    from mmtf.mixtures.report import entry, growth_of, matrix_of
    from mmtf.threat import ThreatModel

    threat = ThreatModel(eta=eta, norm=FLAGS.norm)
    given = _given_models()
    names = [*given, *FLAGS.train]
    require_names("models", names)
    columns = column_names(FLAGS.attacks, names)
    start = _start(names)
    paths = [path_and_name(one)[0] for one in FLAGS.model]
    name = chosen_dataset(FLAGS.dataset, paths, given.values()) if given else FLAGS.dataset
    whole = load_data(name or "mnist", FLAGS.data_dir, preprocess=FLAGS.preprocess)
    data = whole.holdout(FLAGS.selection, FLAGS.seed)
    if given:
        _say("Models given by --model may have seen the held-out images in training.")
    cells = FLAGS.output and os.path.join(FLAGS.output, "cells")
    trained = {one: _trained(one, data, eta, cells) for one in FLAGS.train}
    models = {**given, **{one: found.classifier for one, found in trained.items()}}
    held, test = PayoffTable(*data.test(), seed=FLAGS.seed), PayoffTable(
        *whole.test(FLAGS.max_examples), seed=FLAGS.seed
    )
    held.add(models)
    recipe = _recipe()
    attacks: dict[str, Any] = frozen_attacks(
        columns,
        held.defenses,
        threat,
        data,
        options={"pgd": {"steps": FLAGS.pgd_steps}},
        recipes={**_recipes(), "attnet": recipe},
        seed=FLAGS.seed,
        cache_dir=cells,
        progress=True,
    )
    for one in FLAGS.attack_network:
        path, own = path_and_name(one)
        require(own is not None, "--attack_network=NAME=PATH", one)
        attacks[str(own)] = load_attack_network(path, threat, data)
    for table in (held, test):
        table.add(models, attacks)
    selected, measured = held.payoffs(), test.payoffs()
    options = {"steps": FLAGS.adaptive_steps, "restarts": FLAGS.adaptive_restarts}
    attacked = Measurer(test, threat if FLAGS.adaptive else None, seed=FLAGS.seed, **options)
    chosen = [*strategies(selected, FLAGS.alpha), *single_nets(selected)]
    entries = [entry(one, attacked(one.p, list(attacks))) for one in chosen]
    record: dict[str, Any] = {
        "dataset": whole.name,
        "note": whole.note,
        "threat": dataclasses.asdict(threat),
        "settings": _settings(recipe),
        "models": {one: _source(one, trained) for one in models},
        "selection": matrix_of(selected),
        "test": matrix_of(measured),
        "strategies": entries,
        "bayesian": by_alpha(selected, ALPHAS),
    }
    if FLAGS.grow:
        found = _grown(held, data, threat, recipe, start, attacks, cells)
        for own in (found.defenses, found.attacks):
            kind = "defenses" if own is found.defenses else "attacks"
            test.add(**{kind: {one: getattr(held, kind)[one] for one in own}})
        every = list(test.attacks)
        mixed = strategies(held.payoffs(found.defenses, every))
        grown = [entry(one, attacked(one.p, every)) for one in mixed]
        whole_test = matrix_of(test.payoffs())
        record["grown"] = {**growth_of(found), "strategies": grown, "test": whole_test}
    record["seconds"] = round(time.monotonic() - began, 1)
    text = _text(record)
    print(text)
    if FLAGS.output:
        written = _write(record, text, selected, measured)
        written += _export(models, entries, whole)
        print(f"\nEverything is in {FLAGS.output}: {', '.join(written)}.")
    return 0


def _given_models() -> dict[str, Any]:
    from mmtf.classifiers.loading import load_classifier

    found = []
    bounds, outputs = (pixel_ranges(FLAGS), model_outputs(FLAGS)) if FLAGS.model else ([], [])
    for given, limits, output in zip(FLAGS.model, bounds, outputs, strict=True):
        path, name = path_and_name(given)
        trusted = FLAGS.trust_saved_models
        found.append(load_classifier(path, name, limits, output, trust_saved_models=trusted))
    names = [one.name for one in found]
    require(len(set(names)) == len(names), "models of different names (NAME=PATH)", names)
    return dict(zip(names, found, strict=True))


def _start(names: list[str]) -> list[str]:
    """The models with which double oracle begins."""
    start = FLAGS.grow_from or names[:2]
    for one in start:
        require_choice("--grow_from", one, names)
    return start


@dataclasses.dataclass(frozen=True)
class _Trained:
    classifier: Any
    about: dict[str, Any]


def _trained(game: str, data: Any, eta: Radius, cells: str | None) -> _Trained:
    """The net of a game, trained without the held-out images."""
    from mmtf.classifiers.classifier import Classifier
    from mmtf.mixtures.training_oracles import kept_model
    from mmtf.presets import run_config
    from mmtf.runs.experiment import make_game, net_maker
    from mmtf.training.progress import Progress
    from mmtf.training.train import train

    config = run_config(
        game=game,
        dataset=data.name,
        eta=eta,
        norm=FLAGS.norm,
        net=FLAGS.net,
        schedule_options={"steps": FLAGS.steps},
        seed=FLAGS.seed,
    )

    def play() -> Any:
        return train(
            make_game(config),
            data,
            schedule=config.schedule,
            model=net_maker(config, data),
            seed=config.seed,
            progress=Progress(config.schedule.total_steps(make_game(config).rounds), label=game),
        ).model

    about = dataclasses.asdict(config)
    model = kept_model(cells, ["train", repr(sorted(about.items())), data.training_digest], play)
    return _Trained(Classifier(model, name=game), {"game": game, "config": about})


def _recipes() -> dict[str, Any]:
    from mmtf.evaluation.attack_specs import RECIPES

    return RECIPES


def _recipe() -> Any:
    """The recipe of attack networks."""
    from mmtf.mixtures.training_oracles import ATTACKER

    schedule = dataclasses.replace(ATTACKER.schedule, steps=FLAGS.attacker_steps)
    return dataclasses.replace(ATTACKER, net=FLAGS.attacker_net, schedule=schedule)


def _grown(
    held: Any,
    data: Any,
    threat: Any,
    recipe: Any,
    start: list[str],
    attacks: dict[str, Any],
    cells: str | None,
) -> Any:
    """Double oracle from the nets `start` and FGSM and PGD frozen on the first of them."""
    from mmtf.mixtures.frozen import frozen_attacks
    from mmtf.mixtures.growing import double_oracle
    from mmtf.mixtures.training_oracles import DEFENDER, OracleSettings, TrainingOracles

    first = [f"{'fgsm' if FLAGS.norm == 'linf' else 'fgm'}@{start[0]}", f"pgd@{start[0]}"]
    missing = [one for one in first if one not in attacks]
    options = {"pgd": {"steps": FLAGS.pgd_steps}}
    held.add(attacks=frozen_attacks(missing, held.defenses, threat, data, options=options))
    defender = dataclasses.replace(DEFENDER, steps=FLAGS.defender_steps)
    settings = OracleSettings(
        attacker=recipe,
        defender=defender,
        pgd_steps=FLAGS.pgd_steps,
        seed=FLAGS.seed,
        cache_dir=cells,
        progress=True,
    )
    oracles = TrainingOracles(held, data, threat, settings)
    limits = {"gap": FLAGS.gap, "rounds": FLAGS.grow, "seconds": FLAGS.grow_seconds}
    return double_oracle(
        held.error,
        start,
        first,
        oracles.best_defense,
        oracles.best_attack,
        **limits,
        say=lambda one: _say(
            f"double oracle: value {one.value:.3f}, bracket [{one.lower:.3f}, {one.upper:.3f}], "
            f"{one.seconds:.0f} s"
        ),
    )


def _settings(recipe: Any) -> dict[str, Any]:
    names = ("alpha", "adaptive", "adaptive_steps", "adaptive_restarts", "grow", "gap")
    names += ("defender_steps", "pgd_steps", "selection", "max_examples", "seed")
    return {**{name: FLAGS[name].value for name in names}, "attacker": recipe.to_dict()}


def _source(name: str, trained: dict[str, _Trained]) -> dict[str, Any]:
    if name in trained:
        return trained[name].about
    given = {path_and_name(one)[1] or "": path_and_name(one)[0] for one in FLAGS.model}
    path = given.get(name)
    return {"path": path and os.path.basename(path), "run": bool(path and workdir_of(path))}


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
            "approximate.",
            report.rounds_table(grown),
            report.weights_table(grown["strategies"]),
            report.attackers_table(grown["strategies"]),
        ]
    return "\n\n".join(parts)


def _write(record: dict[str, Any], text: str, selected: Any, measured: Any) -> list[str]:
    """Writes the files but the SavedModel; returns their names."""
    import numpy as np

    from mmtf.storage.files import write_atomically, write_json, write_text
    from mmtf.storage.provenance import provenance

    record, text_file, errors = ({**record, **provenance()}, *FILES[1:])

    def save(path: str) -> None:
        with open(path, "wb") as target:
            np.savez_compressed(
                target,
                selection=selected.wrong,
                selection_clean=selected.clean,
                test=measured.wrong,
                test_clean=measured.clean,
            )

    write_json(os.path.join(FLAGS.output, FILES[0]), record)
    write_text(os.path.join(FLAGS.output, text_file), text + "\n")
    write_atomically(os.path.join(FLAGS.output, errors), save)
    return list(FILES)


def _export(models: dict[str, Any], entries: list[dict[str, Any]], data: Any) -> list[str]:
    """Writes the optimal mixture as a SavedModel; returns its name."""
    from mmtf.mixtures.comparison import OPTIMAL
    from mmtf.mixtures.mixed_classifier import Mixture
    from mmtf.mixtures.serving import save_mixture

    p = next(one["p"] for one in entries if one["strategy"] == OPTIMAL)
    mixture = Mixture({name: models[name] for name in p}, list(p.values()), FLAGS.seed)
    if mixture.keras_model is None:
        _say("No export: not all nets of the mixture are Keras models.")
        return []
    save_mixture(mixture, data.preprocess, data.image_shape, os.path.join(FLAGS.output, "mixture"))
    return ["mixture"]


@contextlib.contextmanager
def _claimed(folder: str) -> Iterator[None]:
    """Holds the folder of --output; rejects one whose files are not those of this command."""
    require(not is_run(folder), "an --output folder of its own", f"{folder}, a workdir of mmtf.run")
    cells = os.path.join(folder, "cells")
    taken = [name for name in FILES if os.path.lexists(os.path.join(folder, name))]
    if taken and not os.path.isdir(cells):
        raise ConfigError(
            f"Expected a new --output folder, or one of this command. Received: {folder}, which "
            f"holds another {', '.join(taken)}. Give another folder."
        )
    with about("--output"):
        held = hold_new(folder)
    with held:
        os.makedirs(cells, exist_ok=True)
        remove_partial(folder, cells)
        yield


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
