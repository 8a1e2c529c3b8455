"""One run, from its configuration to its record: train, evaluate, export."""

import contextlib
import os
import time
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from mmtf.classifiers import export
from mmtf.config import RunConfig, is_standardized
from mmtf.data import Dataset
from mmtf.distributed.workers import WorkerLost, Workers
from mmtf.evaluation.options import EvalOptions
from mmtf.evaluation.payoff import attack_classifier
from mmtf.games import GAMES
from mmtf.games.adv_fgsm import AdvFGSM
from mmtf.radius import radius_title
from mmtf.reports import write_json
from mmtf.runs.curve import CURVE_EXAMPLES, Curve, attacks_of
from mmtf.runs.games import make_game, net_maker
from mmtf.runs.record import RunRecord, result_of
from mmtf.runs.rounds import round_path, rounds_matrix
from mmtf.runs.union import UNION, attackers_of, union_attacks
from mmtf.runs.workdir import Workdir
from mmtf.runtime.devices import default_strategy, resolve_jit, resolve_precision
from mmtf.training.callbacks import Callbacks
from mmtf.training.logs import Logs
from mmtf.training.options import CHECKPOINT_SECONDS
from mmtf.training.train import Trained, train
from mmtf.training.trainer import Trainer

CURVE_POINTS = 10
SHOWN_IMAGES = 8


def run_experiment(
    config: RunConfig,
    workdir: Workdir,
    dataset: Dataset,
    *,
    notice: str = "",
    in_memory: bool | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    curve_every: int | None = None,
    curve_examples: int = CURVE_EXAMPLES,
    began: float | None = None,
    strategy: tf.distribute.Strategy | None = None,
    say: Callable[[str], None] = print,
    extra_data: Dataset | None = None,
) -> dict[str, Any] | None:
    """Trains a classifier, measures it and exports it; resumes from the workdir's last checkpoint.

    In a distributed run every worker calls this function with the same workdir, on a disk shared
    by all. The chief acts as a single process would; the other workers only train, write no files,
    and wait until the chief has written the record.

    Args:
      config: the run's configuration.
      workdir: folder of the run; the chief has entered it (`with Workdir(...)`).
      dataset: the one named by the configuration, or a substitute that `notice` explains.
      notice: a remark on the data for the record, "" for none.
      in_memory: whether the training images are held in memory, see `mmtf.data.Batches`.
      checkpoint_seconds: seconds between two checkpoints.
      curve_every: steps between two points of the curve, > 0; None: a tenth of the steps.
      curve_examples: number of test examples of the curve, the first ones; 0 for all.
      began: time.monotonic() at the start of the process, from which the record counts seconds;
        None: now.
      strategy: tf.distribute strategy; default: all GPUs, or the CPU.
      say: called with each line of progress.
      extra_data: the Dataset that `config.schedule.extra_data` names; None: it is loaded.

    Returns:
      The record, as in record.json; None on workers other than the chief.

    Raises:
      ConfigError: the configuration does not fit the dataset, or workers have different ones.
      RunError: the risk is not finite, a checkpoint cannot be written, or a worker is lost.
    """
    began = time.monotonic() if began is None else began
    run = _Run(config, workdir, dataset, strategy or default_strategy(), say, extra_data)
    run.require_same_elsewhere(in_memory)
    say(run.describe())
    if not run.workers.chief:
        _train(run, in_memory, checkpoint_seconds, progress=False)
        say(f"Worker {run.workers.index} has trained; the chief evaluates.")
        run.workers.wait()
        return None
    logs = Logs(workdir.log_dir, config.to_dict())
    curve = Curve(config, dataset, workdir, logs, run.precision, curve_examples)
    with contextlib.closing(logs):
        trained = _train(
            run,
            in_memory,
            checkpoint_seconds,
            events=lambda trainer: _events(trainer, curve, logs, workdir, curve_every),
        )
        if trained.weights:
            say(f"Evaluated and exported: {trained.weights}.")
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
        processor_seconds_per_step=trained.processor_seconds_per_step,
        weights=trained.weights,
        checks=trained.checks,
        curve=curve.points,
        rounds=rounds,
        seconds_in_last_process=time.monotonic() - began,
    ).to_dict()
    write_json(workdir.record_path, record)
    # The record is complete, so the loss of another worker no longer matters.
    with contextlib.suppress(WorkerLost):
        run.workers.wait()
    return record


class _Run:
    """The values that the stages of one run share."""

    def __init__(
        self,
        config: RunConfig,
        workdir: Workdir,
        dataset: Dataset,
        strategy: tf.distribute.Strategy,
        say: Callable[[str], None],
        extra_data: Dataset | None = None,
    ):
        self.config = config
        self.workdir = workdir
        self.dataset = dataset
        self.strategy = strategy
        self.say = say
        self.extra_data = extra_data
        self.game = make_game(config)
        self.workers = Workers(strategy)
        self.precision = resolve_precision(config.precision)
        steps = config.schedule.total_steps(self.game.rounds)
        self.jit_compile = resolve_jit(config.jit_compile, strategy, steps)

    @property
    def arithmetic(self) -> str:
        """The training precision, and whether XLA compiles the steps."""
        return f"{self.precision} by XLA" if self.jit_compile else self.precision

    def describe(self) -> str:
        """A line for the user that says what is about to be trained."""
        data, config = self.dataset, self.config
        standardized = is_standardized(config.dataset)
        radius = radius_title(config.eta, config.norm, standardized=standardized)
        return (
            f"{GAMES.label(config.game)} on {data.name}, {len(data.train_images):,} training and "
            f"{len(data.test_images):,} test images: {config.net}, {radius}, {self.arithmetic}, "
            f"{self.strategy.num_replicas_in_sync} replica(s), in {self.workdir.path}"
        )

    def require_same_elsewhere(self, in_memory: bool | None) -> None:
        """Raises ConfigError if another worker has a different configuration or data."""
        data = {"training images": len(self.dataset.train_images), "in_memory": in_memory}
        same = {**self.config.to_dict(), "arithmetic": self.arithmetic, **data}
        self.workers.require_same(same, "Give all workers the same flags and data.")


def _train(run: _Run, in_memory: bool | None, checkpoint_seconds: float, **options: Any) -> Trained:
    """Plays the game, resuming from the workdir's last checkpoint."""
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
        extra_data=run.extra_data,
        **options,
    )


def _evaluate(run: _Run, trained: Trained, logs: Logs) -> list[dict[str, Any]]:
    """Measures the rows of the final table; logs them and some adversarial images."""
    config, step = run.config, trained.steps
    networks = attackers_of(trained.trainer.players)
    attacks = attacks_of(config, networks.get("attacker"), run.workdir.inside("attackers"))
    parts = union_attacks(config, networks)
    attacks |= parts
    found = "" if run.precision == "float32" else f", attacks in {run.precision}"
    run.say(f"Measuring {', '.join(attacks)} in float32{found} ...")
    options = EvalOptions(
        max_examples=config.max_examples,
        seed=config.seed,
        precision=run.precision,
        keep=SHOWN_IMAGES,
        progress=True,
    )
    unions = {UNION: list(parts)} if parts else {}
    results = attack_classifier(trained.classifier, attacks, run.dataset, options, unions)
    logs.scalars(step, {f"final_error/{one.attack}": one.error for one in results})
    clean, _ = run.dataset.test(SHOWN_IMAGES)
    for result in results:
        count = len(result.images)
        if count:
            logs.attack_images(step, result.attack, clean[:count], result.images)
    etas = {name: attack.threat.eta for name, attack in parts.items()}
    return [result_of(one.to_dict(), config, etas.get(one.attack)) for one in results]


def _rounds(run: _Run) -> list[dict[str, Any]] | None:
    """Errors of each round's classifier under each round's FGSM; None in other games."""
    if GAMES[run.config.game] is not AdvFGSM:  # in those that have rounds they are other stages
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
    """Writes the classifier and the attack networks as Keras files and SavedModels."""
    workdir, dataset = run.workdir, run.dataset
    for name, attacker in attackers_of(trained.trainer.players).items():
        export.save_keras(attacker, workdir.inside(f"{name}.keras"))
        folder = workdir.inside(f"{name}_saved_model")
        export.save_attacker(attacker, dataset.image_shape, folder)
    export.save_keras(trained.classifier, workdir.keras_path)
    export.save_serving(
        trained.classifier, dataset.preprocess, dataset.image_shape, workdir.saved_model_path
    )


def _events(
    trainer: Trainer, curve: Curve, logs: Logs, workdir: Workdir, every: int | None
) -> Callbacks:
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
        evaluate_every=every or max(trainer.total_steps // CURVE_POINTS, 1),
        on_round_end=on_round_end,
    )
