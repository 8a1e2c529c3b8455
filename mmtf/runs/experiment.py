"""One run from a config to its record: data, game, training, table, exports."""

import contextlib
import functools
import os
import time

from mmtf.classifiers import export
from mmtf.config import RunConfig
from mmtf.data import Dataset
from mmtf.distributed.workers import WorkerLost, Workers
from mmtf.evaluation.payoff import as_result, attack_classifier
from mmtf.games import GAMES
from mmtf.nets import NETS
from mmtf.reports import FORMAT, paper_figure, write_json
from mmtf.runs.curve import Curve, make_attacks
from mmtf.runs.rounds import round_path, rounds_matrix
from mmtf.runs.workdir import Workdir
from mmtf.runtime.devices import default_strategy, resolve_jit, resolve_precision
from mmtf.storage.provenance import provenance
from mmtf.threat import ThreatModel
from mmtf.training.callbacks import Callbacks
from mmtf.training.logs import Logs
from mmtf.training.options import CHECKPOINT_SECONDS
from mmtf.training.train import train

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
    strategy=None,
    say=print,
) -> dict | None:
    """Trains, measures and exports; goes on from where the workdir stands.

    Several workers all call it, with one workdir on a disk that all of them reach. The chief does
    what one process would; the others train with it, write nothing, and wait for its record.

    Args:
      config: of the run.
      workdir: entered; by the chief alone.
      dataset: that the config names; or another one, which `notice` then explains.
      notice: what the reader of the record must know of the data.
      in_memory: see `mmtf.data.Batches`.
      checkpoint_seconds: between two checkpoints.
      began: time.monotonic() at the start of the process, for the record's seconds; None: now.
      strategy: of tf.distribute; default: all GPUs, or the CPU.
      say: takes lines for the user.

    Returns:
      The record, as in record.json; None on workers other than the chief.
    """
    began = time.monotonic() if began is None else began
    strategy = strategy or default_strategy()
    workers = Workers(strategy)
    game = make_game(config)

    make_net = net_maker(config, dataset)
    precision = resolve_precision(config.precision)
    steps = config.schedule.total_steps(game.rounds)
    jit_compile = resolve_jit(config.jit_compile, strategy, steps)
    arithmetic = f"{precision} by XLA" if jit_compile else precision
    say(
        f"{game!r} on {dataset.name}: {len(dataset.train_images):,} training and "
        f"{len(dataset.test_images):,} test images, {config.net} ({config.net_options}), "
        f"{arithmetic}, {strategy.num_replicas_in_sync} replica(s), workdir {workdir.path}"
    )
    data = {"training images": len(dataset.train_images), "in_memory": in_memory}
    same = {**config.to_dict(), "arithmetic": arithmetic, **data}
    workers.require_same(same, "Give all workers the same flags and data.")
    play = functools.partial(
        train,
        game,
        dataset,
        schedule=config.schedule,
        model=make_net,
        seed=config.seed,
        precision=config.precision,
        strategy=strategy,
        in_memory=in_memory,
        jit_compile=jit_compile,
        checkpoint_dir=workdir.checkpoint_dir,
        checkpoint_seconds=checkpoint_seconds,
    )
    if not workers.chief:
        play(progress=False)
        say(f"Worker {workers.index} has trained; the chief measures.")
        workers.wait()
        return None
    logs = Logs(workdir.log_dir, config.to_dict())
    curve = Curve(config, dataset, workdir, logs)
    try:
        trained = play(events=lambda trainer: _events(trainer, curve, logs, workdir))
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
    pace = trained.images_per_second
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
        "precision": {"training": trained.precision, "evaluation": "float32"},
        "jit_compile": jit_compile,
        "replicas": strategy.num_replicas_in_sync,
        "workers": workers.count,
        "results": [_with_paper(as_result(one), config) for one in outcomes],
        "training": {
            "steps": trained.steps,
            "seconds": round(trained.seconds, 2),
            "images_per_second": pace and round(pace, 1),
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
    # The record is there: that another worker left early does not matter any more.
    with contextlib.suppress(WorkerLost):
        workers.wait()
    return record


def _events(trainer, curve, logs, workdir):
    total = trainer.total_steps

    def on_round_end(number):
        if trainer.game.rounds:
            os.makedirs(workdir.round_dir, exist_ok=True)
            model = trainer.players.models["classifier"]
            export.save_keras(model, round_path(workdir.round_dir, number))

    return Callbacks(
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
    # The paper's `worst` is over other attacks than ours, its attack network is not our strongest
    # one, and differences are another regularizer than Eq. 8's: no figures to stand beside.
    other = result["attack"] in ("worst", "attnet_curr")
    other = other or config.game_options.get("penalty") == "finite_difference"
    if config.norm == "linf" and not other:
        column = result["attack"].replace("attnet_paper_curr", "attnet_curr")
        paper = paper_figure(config.dataset, config.eta, game, column)
    return {**result, "eta": config.eta, "paper": paper}
