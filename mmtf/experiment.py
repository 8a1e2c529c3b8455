"""One run from a config to its record: data, game, training, table, exports."""

import dataclasses
import os
import time

import keras

from mmtf import export
from mmtf.config import ConfigError, RunConfig, require
from mmtf.curve import Curve, make_attacks, network_recipes
from mmtf.data import Dataset
from mmtf.evaluation.network_pair import pair_exploitability
from mmtf.evaluation.payoff import as_result, attack_classifier
from mmtf.evaluation.rounds import kept_rounds, replay, round_path, rounds_matrix
from mmtf.games import GAMES
from mmtf.nets import NETS
from mmtf.presets import schedule_of
from mmtf.provenance import provenance
from mmtf.reports import FORMAT, paper_figure, write_json
from mmtf.threat import ThreatModel
from mmtf.training.devices import default_strategy, resolve_precision
from mmtf.training.logs import Logs
from mmtf.training.loop import CHECKPOINT_SECONDS, Events
from mmtf.training.train import train
from mmtf.workdir import Workdir

CURVE_POINTS = 10
SHOWN_IMAGES = 8


def make_game(config: RunConfig):
    """The game of `config`, built with its options and threat model."""
    threat = ThreatModel(eta=config.eta, norm=config.norm)
    return GAMES[config.game](threat, **config.game_options)


def net_maker(config: RunConfig, dataset: Dataset, seed: int | None = None):
    """A function that makes the classifier of `config` afresh, by default from its seed."""

    def make_net():
        return NETS[config.net](
            image_shape=dataset.image_shape,
            num_classes=dataset.num_classes,
            seed=config.seed if seed is None else seed,
            **config.net_options,
        )

    return make_net


def run_experiment(
    config: RunConfig,
    workdir: Workdir,
    dataset: Dataset,
    *,
    notice: str = "",
    in_memory: bool | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    began: float | None = None,
    say=print,
) -> dict:
    """Trains, measures and exports; goes on from where the workdir stands.

    Args:
      config: of the run.
      workdir: entered.
      dataset: that the config names; or another one, which `notice` then explains.
      notice: what the reader of the record must know of the data.
      in_memory: see `mmtf.data.Batches`.
      checkpoint_seconds: between two checkpoints.
      began: time.monotonic() at the start of the process, for the record's seconds; None: now.
      say: takes lines for the user.

    Returns:
      The record, as in record.json.
    """
    began = time.monotonic() if began is None else began
    strategy = default_strategy()
    game = make_game(config)

    make_net = net_maker(config, dataset)
    precision = resolve_precision(config.precision)
    say(
        f"{game!r} on {dataset.name}: {len(dataset.train_images):,} training and "
        f"{len(dataset.test_images):,} test images, {config.net} ({config.net_options}), "
        f"{precision}, {strategy.num_replicas_in_sync} replica(s), workdir {workdir.path}"
    )
    logs = Logs(workdir.log_dir, config.to_dict())
    curve = Curve(config, dataset, workdir, logs)
    try:
        trained = train(
            game,
            dataset,
            schedule=config.schedule,
            model=make_net,
            seed=config.seed,
            precision=config.precision,
            strategy=strategy,
            in_memory=in_memory,
            checkpoint_dir=workdir.checkpoint_dir,
            checkpoint_seconds=checkpoint_seconds,
            events=lambda trainer: _events(trainer, curve, logs, workdir),
        )
        classifier = trained.classifier
        attacker = trained.trainer.players.models.get("attacker")
        say(f"Measuring {', '.join(config.attacks)} in float32 ...")
        outcomes = attack_classifier(
            classifier,
            make_attacks(config, attacker, workdir.inside("attackers")),
            dataset,
            max_examples=config.max_examples,
            seed=config.seed,
            keep=SHOWN_IMAGES,
        )
        errors = {f"final_error/{outcome.attack}": outcome.error for outcome in outcomes}
        logs.scalars(trained.trainer.total_steps, errors)
        clean, _ = dataset.test(SHOWN_IMAGES)
        for outcome in outcomes:
            if len(outcome.images):
                name, count = outcome.attack, len(outcome.images)
                logs.attack_images(trained.trainer.total_steps, name, clean[:count], outcome.images)
    finally:
        logs.close()
    record = {
        "format": FORMAT,
        "config": config.to_dict(),
        "dataset": {
            "name": dataset.name,
            "note": dataset.note,
            "notice": notice,
            "train": len(dataset.train_images),
            "test": len(dataset.test_images),
        },
        "seeds": [config.seed],
        "precision": {"training": precision, "evaluation": "float32"},
        "replicas": strategy.num_replicas_in_sync,
        "results": [_with_paper(as_result(one), config) for one in outcomes],
        "training": {
            "steps": trained.steps,
            "seconds": round(trained.seconds, 2),
        },
        "curve": curve.points,
        "seconds_in_last_process": None,
        **provenance(),
    }
    if game.rounds:
        say("Replaying the rounds' attacks against the rounds' classifiers ...")
        record["rounds"] = rounds_matrix(
            workdir.round_dir, game.rounds, game.threat, dataset, config.max_examples
        )
    if attacker is not None:
        export.save_keras(attacker, workdir.attacker_path)
        export.save_attacker(attacker, dataset.image_shape, workdir.inside("attacker_saved_model"))
    export.save_keras(classifier, workdir.keras_path)
    export.save_serving(
        classifier, dataset.preprocess, dataset.image_shape, workdir.saved_model_path
    )
    record["seconds_in_last_process"] = round(time.monotonic() - began, 2)
    write_json(workdir.record_path, record)
    return record


def _events(trainer, curve, logs, workdir):
    total = trainer.total_steps

    def on_round_end(number):
        if trainer.game.rounds:
            os.makedirs(workdir.round_dir, exist_ok=True)
            export.save_keras(trainer.players.classifier, round_path(workdir.round_dir, number))

    return Events(
        on_metrics=lambda step, metrics: logs.scalars(
            step, {f"train/{name}": value for name, value in metrics.items()}
        ),
        on_evaluation=lambda step: curve.add(trainer.players, step),
        evaluate_every=max(total // CURVE_POINTS, 1),
        on_round_end=on_round_end,
    )


def _with_paper(result, config):
    game = config.game
    if game == "adv_fgsm":
        game = f"adv_fgsm{config.game_options['rounds']}"
    paper = None
    # The paper's `worst` is over other attacks than ours: no figure to stand beside.
    if config.norm == "linf" and result["attack"] != "worst":
        column = result["attack"].replace("attnet_paper_curr", "attnet_curr")
        paper = paper_figure(config.dataset, config.eta, game, column)
    return {**result, "eta": config.eta, "paper": paper}


def replay_plan(source: str, numbers) -> tuple[str, list[int]]:
    """(folder of the kept rounds, which FGSM k to replay), checked before anything is trained.

    Args:
      source: workdir of an adv_fgsm run.
      numbers: which k; None: 1, 2 and the last round's.

    Raises:
      ConfigError: no kept rounds there, or a k that is no integer or was not kept.
    """
    folder = os.path.join(os.path.expanduser(source), "rounds")
    kept = kept_rounds(folder)
    if not kept:
        raise ConfigError(
            f"Expected --replay to name the workdir of an adv_fgsm run. Received: {source}, where "
            f"no round's classifier is kept."
        )
    made = {number + 1 for number in kept}
    if numbers is None:
        return folder, sorted({1, 2, kept[-1]} & made)
    chosen = [int(number) if str(number).isdigit() else number for number in numbers]
    if not set(chosen) <= made:
        raise ConfigError(f"Expected --replay_rounds among {sorted(made)}. Received: {numbers}.")
    return folder, chosen


def add_replays(config, workdir, dataset, source: str, numbers, record: dict) -> dict:
    """Tries the FGSM k of another run's cat-and-mouse game against this run's classifier.

    Args:
      config, workdir, dataset: of this run, finished.
      source, numbers: see `replay_plan`.
      record: of this run.

    Returns:
      The record with `replays`, also written to the workdir.
    """
    folder, numbers = replay_plan(source, numbers)
    classifier = keras.models.load_model(workdir.keras_path)
    threat = ThreatModel(eta=config.eta, norm=config.norm)
    replays = replay(
        {config.game: classifier}, folder, numbers, threat, dataset, config.max_examples
    )
    record = {**record, "replays": replays, "replays_of": os.path.basename(source.rstrip("/"))}
    write_json(workdir.record_path, record)
    return record


def require_attacker(config: RunConfig) -> None:
    """Raises ConfigError where the game trains no attacker whose exploitability could be asked."""
    require(
        GAMES[config.game].learns_attacker,
        "--exploitability with a game that trains an attacker "
        f"({', '.join(name for name in GAMES if GAMES[name].learns_attacker)})",
        config.game,
    )


def add_exploitability(config, workdir, dataset, record: dict, *, progress=True) -> dict:
    """Measures the pair that a run trained against best responses trained afresh (Lemma 1).

    The attacker's are the game's own network, trained on the risk itself, and the strongest
    recipe, whichever does more on training images; the defender's is the run's net, trained from
    another seed as long as an undefended one.

    Args:
      config, workdir, dataset: of this run, finished.
      record: of this run.

    Returns:
      The record with `exploitability`, also written to the workdir.
    """
    require_attacker(config)
    game = make_game(config)
    recipes = network_recipes(config)
    own = {"net": game.net, "net_options": game.net_options, "loss": "cross_entropy"}
    recipes = {
        "attnet": recipes["attnet"],
        "own": dataclasses.replace(recipes["attnet_paper"], **own),
    }
    report = pair_exploitability(
        keras.models.load_model(workdir.keras_path),
        keras.models.load_model(workdir.attacker_path),
        dataset,
        game.threat,
        make_net=net_maker(config, dataset, config.seed + 1),
        recipes=recipes,
        schedule=schedule_of("undefended", config.dataset, config.schedule_name),
        max_examples=config.max_examples,
        seed=config.seed + 1,
        cache_dir=workdir.inside("attackers"),
        progress=progress,
    )
    record = {**record, "exploitability": {**report, **provenance()}}
    write_json(workdir.record_path, record)
    return record
