"""`mmtf.train`: plays a game on a dataset from Python, without files or flags."""

import contextlib
import dataclasses
import inspect

import keras
import tensorflow as tf

from mmtf.classifiers.fingerprint import architecture
from mmtf.classifiers.logits import require_logits
from mmtf.classifiers.precision import computing_in
from mmtf.config import Schedule, as_before
from mmtf.data.batches import Batches
from mmtf.data.dataset import Dataset, require_dataset
from mmtf.distributed.workers import Workers
from mmtf.errors import ConfigError, reason_of, require
from mmtf.runtime.devices import default_strategy, resolve_jit, resolve_precision
from mmtf.training.checkpoints import Checkpoints, plain_json
from mmtf.training.loop import CHECKPOINT_SECONDS, Events, fit
from mmtf.training.progress import Progress
from mmtf.training.trainer import Trainer

# Training images whose pixels are looked at before anything is trained.
CHECKED = 500


@dataclasses.dataclass(frozen=True, eq=False)
class Trained:
    """Attributes:
    classifier: the defender, trained in place.
    trainer: holds all players.
    seconds: spent in steps, tracing included, over all processes of a resumed run.
    steps: in all.
    precision: that the steps were taken in; of a run resumed in another one, both in order.
    images_per_second: over all replicas, in this process, tracing excluded; None: too few steps.
    """

    classifier: keras.Model
    trainer: Trainer
    seconds: float
    steps: int
    precision: str
    images_per_second: float | None = None


def train(
    game,
    dataset: Dataset,
    *,
    schedule: Schedule,
    model=None,
    seed: int = 0,
    precision: str = "auto",
    strategy: tf.distribute.Strategy | None = None,
    in_memory: bool | None = None,
    jit_compile: bool | None = None,
    checkpoint_dir: str | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    events=None,
    progress: bool | Progress = True,
) -> Trained:
    """Plays `game` on the training split of `dataset`.

    Args:
      game: of `mmtf.games`, e.g. GAMES["minimax_grad"](ThreatModel(eta=0.3)).
      schedule: steps, batch size, learning rate; `mmtf.schedule_of` has presets.
      model: a built Keras model giving logits with float32 variables, trained in place; or a
        function without arguments that makes one (needed under a strategy of several devices);
        None: the net that `mmtf.run` takes for the dataset by its fast schedule.
      seed: of the net's initial weights, the batches, dropout and random starts.
      precision: of training: `float32`, `bfloat16`, or `auto`, bfloat16 where the hardware and
        the model's layers compute in it; evaluation is always float32.
      strategy: of tf.distribute; default: all GPUs, or the CPU. Of several workers (processes),
        `mmtf.distributed.strategy.make_strategy`, all call this function with the same arguments.
      in_memory: see `mmtf.data.Batches`.
      jit_compile: XLA compiles the steps; None: of a long run on a single GPU
        (`mmtf.runtime.devices.resolve_jit`).
      checkpoint_dir: saves there and goes on from what is there, if it is of the same game,
        schedule, seed, model and data; None: no checkpoints. Several workers all read it and the
        chief alone writes it.
      checkpoint_seconds: between two checkpoints; the last step is always saved.
      events: None, `mmtf.training.loop.Events`, or a function from the Trainer to them.
      progress: show it on stderr.

    Raises:
      ConfigError: a model whose output does not fit or whose activations have losses, one made
        outside of a strategy of several devices, a layer without the derivatives that the game
        needs, a batch size that cannot be divided, images outside the game's box, checkpoints of
        another run.
      RiskNotFinite, Interrupted, CheckpointError, WorkerLost: see `mmtf.training.loop.fit`.

    Example:
      >>> import mmtf
      >>> data = mmtf.load_data("digits")
      >>> game = mmtf.games.GAMES["minimax_grad"](mmtf.ThreatModel(eta=0.3))
      >>> trained = mmtf.train(game, data, schedule=mmtf.Schedule(steps=2), progress=False)
      >>> trained.steps
      2
    """
    require(0 <= seed < 2**31, "seed in [0, 2^31)", seed)
    _check_kinds(game, dataset, schedule, events)
    strategy = strategy or default_strategy()
    workers = Workers(strategy)
    # Each of several workers has the images at hand, and TensorFlow cannot broadcast uint8.
    place = strategy.scope if workers.count == 1 else contextlib.nullcontext
    with workers.guard():
        with strategy.scope():
            classifier = _made(model, dataset, seed)
        with place():
            batches = Batches(
                dataset, batch_size=schedule.batch_size, seed=seed, in_memory=in_memory
            )
        _check_model(classifier, game, dataset, strategy.num_replicas_in_sync)
        precision = _usable(precision, classifier, dataset)
        trainer = Trainer(
            game,
            classifier,
            batches,
            schedule=schedule,
            strategy=strategy,
            precision=precision,
            seed=seed,
            jit_compile=resolve_jit(jit_compile, strategy, schedule.total_steps(game.rounds)),
        )
    bar = progress if isinstance(progress, Progress) else None
    first, checkpoints = 0, None
    if checkpoint_dir is not None:
        checkpoints = Checkpoints(
            checkpoint_dir,
            trainer.players,
            run=_identity(game, dataset, schedule, seed, classifier),
            precision=precision,
            writes=workers.chief,
        )
        first = checkpoints.restore(print)
    if workers.count > 1:
        same = plain_json(_identity(game, dataset, schedule, seed, classifier))
        same |= {"precision": precision, "step to go on from": first}
        advice = "Give all of them the same arguments and data, in the same order, and one folder "
        advice += "of checkpoints, on a disk that all of them reach."
        workers.require_same(same, advice)
    if progress and bar is None:
        bar = Progress(trainer.total_steps, start=first)
    if first and bar:
        bar.note(f"Going on from step {first} of {trainer.total_steps}.")
    try:
        pace = fit(
            trainer,
            checkpoints=checkpoints,
            events=events(trainer) if callable(events) else events or Events(),
            progress=bar,
            first=first,
            checkpoint_seconds=checkpoint_seconds,
            workers=workers,
        )
    except LookupError as error:
        if "gradient registry" not in str(error):
            raise
        raise ConfigError(
            f"Expected a model whose layers have the derivatives that {type(game).__name__} needs. "
            f"Received: {reason_of(error)}. Use another layer (of Resizing, bilinear interpolation "
            "has them), or a game without second derivatives: penalty='finite_difference', LWA, "
            "or adversarial training."
        ) from error
    finally:
        if bar:
            bar.close()
    images = pace.steps_per_second and pace.steps_per_second * schedule.batch_size
    if checkpoints:
        precision = ", then ".join(checkpoints.precisions) or precision
    return Trained(classifier, trainer, pace.seconds, trainer.total_steps, precision, images)


def _check_kinds(game, dataset, schedule, events):
    """Before they are used: what Python would say of another kind names an attribute of ours."""
    require(hasattr(game, "make_players"), "a game, as mmtf.games.GAMES[name](threat)", game)
    require_dataset(dataset)
    require(isinstance(schedule, Schedule), "schedule=mmtf.Schedule(steps=...)", schedule)
    require(
        events is None or callable(events) or isinstance(events, Events),
        "events: mmtf.training.loop.Events, or a function from the Trainer to them (Keras' "
        "callbacks are for Model.fit)",
        type(events).__name__,
    )


def _identity(game, dataset, schedule, seed, classifier) -> dict:
    """What a run that goes on from a checkpoint must have in common with the one that wrote it."""
    settings = list(inspect.signature(type(game).__init__).parameters)[1:]
    return {
        "game": {
            "class": type(game).__name__,
            **as_before({name: getattr(game, name, None) for name in settings}),
        },
        "schedule": dataclasses.asdict(schedule),
        "seed": seed,
        "model": architecture(classifier),
        "dataset": {
            "name": dataset.name,
            "preprocess": getattr(dataset.preprocess, "__qualname__", ""),
            "images": dataset.raw_digest,
        },
    }


def _made(model, dataset, seed):
    if model is None:
        from mmtf.nets import NETS
        from mmtf.runs.presets import default_net, default_net_options

        name = default_net(dataset.name)
        return NETS[name](
            image_shape=dataset.image_shape,
            num_classes=dataset.num_classes,
            seed=seed,
            **default_net_options(name),
        )
    return model if isinstance(model, keras.Model) else model()


def _usable(precision, classifier, dataset) -> str:
    """The precision to train in; by `auto` float32 where the model's layers take no bfloat16."""
    resolved = resolve_precision(precision)
    images, _ = dataset.train(2)
    try:
        with computing_in(classifier, resolved):
            classifier(images, training=False)
    except (tf.errors.InvalidArgumentError, ValueError, TypeError) as error:
        if precision == "auto":
            return "float32"
        raise ConfigError(
            f"Expected a model that computes in {resolved}. Received: one that does not "
            f"({reason_of(error)}). Give precision='float32'."
        ) from error
    return resolved


def _check_model(classifier, game, dataset, replicas):
    if not classifier.built:
        raise ConfigError(
            "Expected a built model. Received: one without weights. Call it once on a batch, or "
            "give it an Input."
        )
    images, _ = dataset.train(CHECKED)
    game.threat.require_images(images)
    images = images[:8]
    try:
        with computing_in(classifier, "float32"):
            logits = classifier(images, training=False)
    except (tf.errors.InvalidArgumentError, ValueError, TypeError) as error:
        raise ConfigError(
            f"Expected a model of images {dataset.image_shape}. Received: one that cannot be "
            f"called on them ({reason_of(error)})."
        ) from error
    shape = logits.shape[1:] if tf.is_tensor(logits) else f"s of {len(logits)} outputs"
    if not tf.is_tensor(logits) or tuple(shape) != (dataset.num_classes,):
        raise ConfigError(
            f"Expected a model from images {dataset.image_shape} to {dataset.num_classes} logits. "
            f"Received: output shape {shape}."
            + (" Give it two logits." if dataset.num_classes == 2 and shape == (1,) else "")
        )
    require_logits(classifier, logits)
    with keras.StatelessScope(collect_losses=True) as scope:
        classifier(images, training=True)
    if scope.losses:
        raise ConfigError(
            "Expected a model without losses of its activations, which no game's risk has. "
            "Received: one with activity_regularizer or add_loss. Remove them; regularizers of "
            "weights are kept."
        )
    if replicas > 1 and not all(
        isinstance(one.value, tf.distribute.DistributedValues) for one in classifier.variables
    ):
        raise ConfigError(
            f"Expected a function that makes the model, for {replicas} replicas. Received: a model "
            "made outside of their strategy. Give the function, or make one device visible "
            "(CUDA_VISIBLE_DEVICES=0)."
        )
    if any(weight.dtype != "float32" for weight in classifier.trainable_variables):
        raise ConfigError(
            "Expected float32 variables. Received: another type. Use precision='bfloat16' to "
            "compute in bfloat16."
        )
