"""`mmtf.train`: plays a game on a dataset from Python, without files or flags."""

import contextlib
import dataclasses
from typing import Any

import keras

from mmtf.classifiers.classifier import BOX, Classifier
from mmtf.config import Schedule
from mmtf.data.batches import Batches
from mmtf.data.dataset import Dataset, require_dataset
from mmtf.distributed.workers import Workers
from mmtf.errors import require
from mmtf.games.base import Game
from mmtf.runtime.console import say
from mmtf.runtime.devices import default_strategy, resolve_jit
from mmtf.storage.plain_json import plain_json
from mmtf.training.admission import (
    make_classifier,
    refuse_mirrored,
    usable_precision,
    validate_model,
)
from mmtf.training.checkpoints import Checkpoints
from mmtf.training.examples import training_examples
from mmtf.training.identity import identity_of
from mmtf.training.loop import fit
from mmtf.training.monitor import deploy_average, make_monitor, refuse_options
from mmtf.training.options import TrainOptions
from mmtf.training.playing import missing_derivatives_told
from mmtf.training.progress import Progress
from mmtf.training.trainer import Trainer


@dataclasses.dataclass(frozen=True, eq=False)
class Trained:
    """The result of `train`: the classifier, the trainer and statistics of the run.

    Attributes:
      classifier: the defender, to attack, evaluate and save: the Keras model, trained in place; or
        a Classifier, if images in [-1, 1] must be adapted to the model, an output is chosen or the
        game deploys more than the model.
      trainer: the Trainer, which holds all players.
      seconds: time spent in steps, tracing included, over all processes of a resumed run.
      steps: number of steps in all.
      precision: precision of the steps; if the run was resumed in another one, both in order.
      images_per_second: over all replicas, in this process, without tracing; None: too few steps.
      processor_seconds_per_step: of all cores, in the same steps; None: too few.
      weights: which weights the classifier has, such as "the moving average of the weights"; "":
        those after the last step.
      checks: the accuracies under PGD that were measured during training, see
        `mmtf.training.monitor.Monitor.summary`; None: nothing was measured.
    """

    classifier: keras.Model | Classifier
    trainer: Trainer
    seconds: float
    steps: int
    precision: str
    images_per_second: float | None = None
    processor_seconds_per_step: float | None = None
    weights: str = ""
    checks: dict[str, Any] | None = None

    @property
    def model(self) -> keras.Model:
        """The Keras model that was trained."""
        return self.trainer.players.models["classifier"]


def train(
    game: Game,
    dataset: Dataset,
    *,
    schedule: Schedule,
    model: Any = None,
    options: TrainOptions | None = None,
    **changes: Any,
) -> Trained:
    """Trains a classifier by playing `game` on the training split of `dataset`.

    Args:
      game: a game of `mmtf.games`, e.g. mmtf.games.MinimaxGrad(ThreatModel(eta=0.3)), or your own.
      dataset: from `mmtf.load_data`, or your own.
      schedule: steps, batch size, learning rate; `mmtf.schedule_of` has presets.
      model: the model to train in place: a built Keras model with float32 variables that gives
        logits or ends in a softmax or one sigmoid unit, which is taken off; a Classifier of one,
        for a model with another pixel range than [-1, 1], as `Classifier(model, bounds=(0, 1))`,
        with a preprocessing or with several outputs, as `Classifier(model, output="logits")`; or a
        function without arguments that makes either, which is required under a strategy of several
        devices. Radii, gradients with respect to images and penalties on these gradients stay on
        the scale of the box [-1, 1]. None: the net of the schedule `fast` for the dataset.
      options: seed, precision, devices, checkpoints, callbacks, progress; None: the defaults.
      **changes: fields of TrainOptions by name, in place of those of `options`.

    Raises:
      ConfigError: a model whose input or output does not fit, that has nothing to train, passes no
        gradients to the images, holds NaN, or whose activations have losses; a model made
        outside of a strategy of several devices; a layer without the derivatives that the game
        needs; a batch size that cannot be divided among the replicas; images outside the game's
        box; checkpoints of another run.
      RiskNotFinite, Interrupted, CheckpointError, WorkerLost: see `mmtf.training.loop.fit`.

    Example:
      >>> import mmtf
      >>> data = mmtf.load_data("digits")
      >>> game = mmtf.games.MinimaxGrad(mmtf.ThreatModel(eta=0.3))
      >>> trained = mmtf.train(game, data, schedule=mmtf.Schedule(steps=2), progress=False)
      >>> trained.steps
      2
    """
    known = options is None or isinstance(options, TrainOptions)
    require(known, "options=TrainOptions(...)", options)
    options = dataclasses.replace(options or TrainOptions(), **changes)
    is_game = hasattr(game, "make_players") and not isinstance(game, type)
    require(is_game, "a game, as mmtf.games.MinimaxGrad(threat)", game)
    require_dataset(dataset)
    require(isinstance(schedule, Schedule), "schedule=mmtf.Schedule(steps=...)", schedule)
    strategy = options.strategy or default_strategy()
    workers = Workers(strategy)
    refuse_options(game, schedule)
    refuse_mirrored(schedule.augment, dataset.name)
    examples = training_examples(dataset, schedule, options)
    with workers.guard():
        trainer = _make_trainer(game, examples, schedule, model, options, strategy, workers)
        monitor = make_monitor(
            trainer,
            examples.dataset,
            examples.held_out,
            schedule=schedule,
            seed=options.seed,
            workers=workers,
        )
    identity = identity_of(trainer, dataset, schedule, options, examples.digest)
    checkpoints, first = _checkpoints(trainer, monitor, identity, options, workers)
    bar = options.progress if isinstance(options.progress, Progress) else None
    if options.progress and bar is None:
        bar = Progress(trainer.total_steps, start=first)
    if first and bar:
        bar.note(f"Going on from step {first} of {trainer.total_steps}.")
    try:
        with missing_derivatives_told(game):
            pace = fit(
                trainer,
                checkpoints=checkpoints,
                callbacks=options.callbacks(trainer),
                progress=bar,
                first=first,
                checkpoint_seconds=options.checkpoint_seconds,
                workers=workers,
                monitor=monitor,
            )
        weights = monitor.deploy() if monitor else deploy_average(trainer)
        if weights and bar:
            bar.note(f"The result has {weights}.")
    finally:
        if bar:
            bar.close()
    precision = trainer.precision
    if checkpoints:
        precision = ", then ".join(checkpoints.precisions) or precision
    return Trained(
        classifier=_plain(game.deployed(trainer.players)),
        trainer=trainer,
        seconds=pace.seconds,
        steps=pace.steps,
        precision=precision,
        images_per_second=pace.steps_per_second and pace.steps_per_second * schedule.batch_size,
        processor_seconds_per_step=pace.processor_seconds_per_step,
        weights=weights,
        checks=monitor.summary() if monitor else None,
    )


def _make_trainer(game, examples, schedule, model, options, strategy, workers):
    dataset = examples.dataset
    # With several workers each has its own images, and TensorFlow cannot broadcast uint8.
    place = strategy.scope if workers.count == 1 else contextlib.nullcontext
    with strategy.scope():
        classifier = make_classifier(model, dataset, options.seed)
    with place():
        batches = Batches(
            dataset,
            batch_size=schedule.batch_size,
            seed=options.seed,
            in_memory=options.in_memory,
            weights=examples.weights,
            extra=examples.extra,
            extra_share=schedule.extra_share,
        )
    validate_model(classifier, game, dataset, strategy.num_replicas_in_sync)
    steps = schedule.total_steps(game.rounds)
    return Trainer(
        game,
        classifier,
        batches,
        schedule=schedule,
        strategy=strategy,
        precision=usable_precision(options.precision, classifier, dataset),
        seed=options.seed,
        jit_compile=resolve_jit(options.jit_compile, strategy, steps),
    )


def _checkpoints(trainer, monitor, identity, options, workers):
    """(the run's checkpoints or None, the step to resume from)."""
    first, checkpoints = 0, None
    if options.checkpoint_dir is not None:
        also = monitor.trackables if monitor else {}
        if trainer.averages:
            also["averages"] = trainer.averages.values
        checkpoints = Checkpoints(
            options.checkpoint_dir,
            trainer.players,
            run=identity,
            precision=trainer.precision,
            writes=workers.chief,
            also=also,
            history=monitor and monitor.history,
        )
        first = checkpoints.restore(say)
        if monitor:
            monitor.resume()
    if workers.count > 1:
        same = plain_json(identity)
        same |= {"precision": trainer.precision, "step to go on from": first}
        advice = "Give all of them the same arguments and data, in the same order, and one folder "
        advice += "of checkpoints, on a disk that all of them reach."
        workers.require_same(same, advice)
    return checkpoints, first


def _takes_the_box(classifier) -> bool:
    """Whether the model takes images in [-1, 1] without any conversion."""
    return classifier.bounds == BOX and classifier.preprocessing is None


def _plain(classifier):
    """The Keras model if it computes the same as the classifier, else the classifier."""
    plain = type(classifier) is Classifier and _takes_the_box(classifier)
    plain = plain and classifier.output is None
    return classifier.model if plain and classifier.keras_model is not None else classifier
