"""One run from a config to its record: train, evaluate, export."""

import contextlib
import os
import time
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from mmtf.classifiers import export
from mmtf.config import STANDARDIZED, RunConfig
from mmtf.data import Dataset
from mmtf.distributed.workers import WorkerLost, Workers
from mmtf.evaluation.options import EvalOptions
from mmtf.evaluation.payoff import attack_classifier
from mmtf.games import GAMES
from mmtf.nets import NETS
from mmtf.radius import radius_title
from mmtf.reports import write_json
from mmtf.runs.curve import Curve, attacks_of
from mmtf.runs.record import RunRecord, result_of
from mmtf.runs.rounds import round_path, rounds_matrix
from mmtf.runs.workdir import Workdir
from mmtf.runtime.devices import default_strategy, resolve_jit, resolve_precision
from mmtf.threat import ThreatModel
from mmtf.training.callbacks import Callbacks
from mmtf.training.logs import Logs
from mmtf.training.options import CHECKPOINT_SECONDS
from mmtf.training.train import Trained, train
from mmtf.training.trainer import Trainer

CURVE_POINTS = 10
SHOWN_IMAGES = 8


def make_game(config: RunConfig) -> Any:
    """The game of `config`, built with its options and threat model."""
    threat = ThreatModel(eta=config.eta, norm=config.norm)
    return GAMES[config.game](threat, **config.game_options)


def net_maker(
    config: RunConfig, dataset: Dataset, seed: int | None = None
) -> Callable[[], keras.Model]:
    """A function that makes the classifier of `config` afresh, by default from its seed."""

    def make_net() -> keras.Model:
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
    strategy: tf.distribute.Strategy | None = None,
    say: Callable[[str], None] = print,
) -> dict[str, Any] | None:
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

    Raises:
      ConfigError: a config that cannot be played on the dataset.
      RunError: a risk that is not finite, a checkpoint that cannot be written, a worker lost.
    """
    began = time.monotonic() if began is None else began
    run = _Run(config, workdir, dataset, strategy or default_strategy(), say)
    run.require_same_elsewhere(in_memory)
    say(run.describe())
    if not run.workers.chief:
        _train(run, in_memory, checkpoint_seconds, progress=False)
        say(f"Worker {run.workers.index} has trained; the chief measures.")
        run.workers.wait()
        return None
    logs = Logs(workdir.log_dir, config.to_dict())
    curve = Curve(config, dataset, workdir, logs)
    with contextlib.closing(logs):
        trained = _train(
            run,
            in_memory,
            checkpoint_seconds,
            events=lambda trainer: _events(trainer, curve, logs, workdir),
        )
        results = _evaluate(run, trained, logs)
    rounds = _rounds(run)
    _export(run, trained)
    record = RunRecord(
        config=config,
        dataset=dataset,
        notice=notice,
        precision=trained.precision,
        jit_compile=run.jit_compile,
        replicas=run.strategy.num_replicas_in_sync,
        workers=run.workers.count,
        results=results,
        steps=trained.steps,
        seconds=trained.seconds,
        images_per_second=trained.images_per_second,
        curve=curve.points,
        rounds=rounds,
        seconds_in_last_process=time.monotonic() - began,
    ).to_dict()
    write_json(workdir.record_path, record)
    # The record is there: that another worker left early does not matter any more.
    with contextlib.suppress(WorkerLost):
        run.workers.wait()
    return record


class _Run:
    """What the stages of one run share."""

    def __init__(
        self,
        config: RunConfig,
        workdir: Workdir,
        dataset: Dataset,
        strategy: tf.distribute.Strategy,
        say: Callable[[str], None],
    ):
        self.config = config
        self.workdir = workdir
        self.dataset = dataset
        self.strategy = strategy
        self.say = say
        self.game = make_game(config)
        self.workers = Workers(strategy)
        self.precision = resolve_precision(config.precision)
        steps = config.schedule.total_steps(self.game.rounds)
        self.jit_compile = resolve_jit(config.jit_compile, strategy, steps)

    @property
    def arithmetic(self) -> str:
        """What training computes in, in words."""
        return f"{self.precision} by XLA" if self.jit_compile else self.precision

    def describe(self) -> str:
        """A line for the user on what is about to be trained."""
        data, config = self.dataset, self.config
        standardized = config.dataset in STANDARDIZED
        radius = radius_title(config.eta, config.norm, standardized=standardized)
        return (
            f"{self.game!r} on {data.name}: {len(data.train_images):,} training and "
            f"{len(data.test_images):,} test images, {config.net} ({config.net_options}), "
            f"{self.arithmetic}, {self.strategy.num_replicas_in_sync} replica(s), "
            f"{radius}, workdir {self.workdir.path}"
        )

    def require_same_elsewhere(self, in_memory: bool | None) -> None:
        """Raises ConfigError where another worker was told another thing."""
        data = {"training images": len(self.dataset.train_images), "in_memory": in_memory}
        same = {**self.config.to_dict(), "arithmetic": self.arithmetic, **data}
        self.workers.require_same(same, "Give all workers the same flags and data.")


def _train(run: _Run, in_memory: bool | None, checkpoint_seconds: float, **options: Any) -> Trained:
    """Plays the game, from the workdir's last checkpoint on."""
    return train(
        run.game,
        run.dataset,
        schedule=run.config.schedule,
        model=net_maker(run.config, run.dataset),
        seed=run.config.seed,
        precision=run.precision,
        strategy=run.strategy,
        in_memory=in_memory,
        jit_compile=run.jit_compile,
        checkpoint_dir=run.workdir.checkpoint_dir,
        checkpoint_seconds=checkpoint_seconds,
        **options,
    )


def _evaluate(run: _Run, trained: Trained, logs: Logs) -> list[dict[str, Any]]:
    """The rows of the final table, which are also logged with some adversarial images."""
    config, step = run.config, trained.trainer.total_steps
    run.say(f"Measuring {', '.join(config.attacks)} in float32 ...")
    attacks = attacks_of(config, _attacker(trained), run.workdir.inside("attackers"))
    options = EvalOptions(max_examples=config.max_examples, seed=config.seed, keep=SHOWN_IMAGES)
    results = attack_classifier(trained.classifier, attacks, run.dataset, options)
    logs.scalars(step, {f"final_error/{one.attack}": one.error for one in results})
    clean, _ = run.dataset.test(SHOWN_IMAGES)
    for result in results:
        count = len(result.images)
        if count:
            logs.attack_images(step, result.attack, clean[:count], result.images)
    return [result_of(one.to_dict(), config) for one in results]


def _rounds(run: _Run) -> list[dict[str, Any]] | None:
    """The attacks of a cat-and-mouse game's rounds against the classifiers of its rounds."""
    if not run.game.rounds:
        return None
    run.say("Replaying the rounds' attacks against the rounds' classifiers ...")
    return rounds_matrix(
        run.workdir.round_dir,
        run.game.rounds,
        run.game.threat,
        run.dataset,
        run.config.max_examples,
    )


def _export(run: _Run, trained: Trained) -> None:
    """Writes the players as Keras files and SavedModels."""
    workdir, dataset, attacker = run.workdir, run.dataset, _attacker(trained)
    if attacker is not None:
        export.save_keras(attacker, workdir.attacker_path)
        export.save_attacker(attacker, dataset.image_shape, workdir.inside("attacker_saved_model"))
    export.save_keras(trained.classifier, workdir.keras_path)
    export.save_serving(
        trained.classifier, dataset.preprocess, dataset.image_shape, workdir.saved_model_path
    )


def _attacker(trained: Trained) -> keras.Model | None:
    return trained.trainer.players.models.get("attacker")


def _events(trainer: Trainer, curve: Curve, logs: Logs, workdir: Workdir) -> Callbacks:
    def on_round_end(number: int) -> None:
        if trainer.game.rounds:
            os.makedirs(workdir.round_dir, exist_ok=True)
            model = trainer.players.models["classifier"]
            export.save_keras(model, round_path(workdir.round_dir, number))

    return Callbacks(
        on_metrics=lambda step, metrics: logs.scalars(
            step, {f"train/{name}": value for name, value in metrics.items()}
        ),
        on_evaluation=lambda step: curve.add(trainer.players, step),
        evaluate_every=max(trainer.total_steps // CURVE_POINTS, 1),
        on_round_end=on_round_end,
    )
