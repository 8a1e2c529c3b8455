"""Many steps of a game in one compiled call, on one device or on many."""

import contextlib
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from mmtf.classifiers.classifier import Classifier
from mmtf.classifiers.precision import computing_in
from mmtf.config import Schedule
from mmtf.data.augmentation import Augmentation
from mmtf.data.batches import Batches
from mmtf.games.base import Game
from mmtf.games.players import Batch
from mmtf.kernels import optimized
from mmtf.kernels.adam import Adam
from mmtf.kernels.keras_internals import make_global_seed_generator
from mmtf.runtime import startup
from mmtf.training.admission import refuse_local_statistics, validate_batch_size
from mmtf.training.averages import Averages
from mmtf.training.learning_rate import WarmupCosine
from mmtf.training.playing import play_step, step_seed
from mmtf.training.steps import Programs, loop, start, takes_programs


class Trainer:
    """Takes the training steps of a game and holds its players.

    The batch, the dropout masks and the random starts of a step are functions of
    (seed, step, replica) alone, so a run that was stopped after any step and resumed gives the same
    result as an uninterrupted one: bitwise on a CPU; on a GPU only if XLA chooses the same kernels
    again, as it does when its autotuning results were kept.

    Args:
      game: see `mmtf.games.Game`.
      classifier: the defender, a built Keras model with float32 variables or a Classifier of one,
        made inside the strategy's scope.
      batches: the source of examples, made inside the strategy's scope; with several workers, each
        makes it outside of that scope.
      schedule: steps and learning rate.
      strategy: a tf.distribute strategy; the global batch is divided among its replicas.
      precision: `float32` or `bfloat16`, precision of the steps.
      seed: seed for dropout, random starts and the initial weights of a game's attack network.
      jit_compile: whether XLA compiles the steps, which changes the random numbers; only with the
        default strategy.

    Attributes:
      game: as given.
      batches: as given.
      strategy: as given.
      precision: as given.
      replicas: number of replicas.
      round_lengths: number of steps of each round.
      players: models and updaters, see `mmtf.games.Players`.
      averages: of the classifier's weights; None without `Schedule.ema`.

    Raises:
      ConfigError: a batch size that cannot be divided among the replicas, or moving statistics that
        would differ between replicas.
    """

    def __init__(
        self,
        game: Game,
        classifier: keras.Model | Classifier,
        batches: Batches,
        *,
        schedule: Schedule,
        strategy: tf.distribute.Strategy,
        precision: str,
        seed: int,
        jit_compile: bool = False,
    ):
        self.game = game
        self.batches = batches
        self.strategy = strategy
        self.precision = precision
        self.replicas = strategy.num_replicas_in_sync
        self.round_lengths = schedule.round_lengths(game.rounds)
        self._ramps = [round(schedule.eta_ramp * length) for length in self.round_lengths]
        self._smoothing = schedule.label_smoothing
        self._change: Augmentation | None = None
        if schedule.augment:
            size = batches.batch_size
            self._change = Augmentation(schedule.augment, seed=seed, batch_size=size)
        self._seed = seed
        self._jit = jit_compile
        if jit_compile:
            startup.set_xla_flags()
            if tf.config.list_logical_devices("GPU"):
                startup.cache_xla_autotuning()
        validate_batch_size(batches.batch_size, game, self.replicas)
        model = classifier.model if isinstance(classifier, Classifier) else classifier
        refuse_local_statistics(model, self.replicas)

        make_global_seed_generator()
        self._rates: list[WarmupCosine] = []

        def make_optimizer(
            variables: list[keras.Variable] | None = None,
            scale: float = 1.0,
            updates: int = 1,
            player: str = "classifier",
        ) -> Adam:
            del player  # both use the same schedule
            self._rates.append(WarmupCosine(schedule, self.round_lengths[0], scale, updates))
            optimizer = Adam(self._rates[-1])
            if variables is not None:
                optimizer.build(variables)
            return optimizer

        with strategy.scope():
            self.players = game.make_players(
                classifier, make_optimizer, batches.image_shape, batches.num_classes, seed
            )
            self.averages: Averages | None = None
            if schedule.ema:
                trained = self.players.classifier.trainable_variables
                self.averages = Averages(trained, schedule.ema)
        self._stream: Any = None  # of a source that is not in memory
        self._stream_step = self._stream_end = 0  # the next step of it, and its end
        self._compile()

    def _compile(self) -> None:
        """Makes the functions of the steps, which are traced at the next call."""
        # AutoGraph off: converting the code, layers included, takes longer than tracing it.
        self._run = tf.function(self._run_steps, autograph=False)
        self._programs: Programs | None = None
        self._play: Callable[..., dict[str, tf.Tensor]] = self._play_step
        if takes_programs(self._jit, self.batches.in_memory):
            self._programs = Programs(self._one_step, self.batches)
        elif self._jit:
            self._play = tf.function(self._play_step, autograph=False, jit_compile=True)

    def play(self, game: Game) -> None:
        """Goes on with another game of the same players: `self.game` with another attack."""
        self.game = game
        self._compile()

    def multiply_rates(self, factor: tf.Variable) -> None:
        """Multiplies all learning rates by a variable; called before the first step."""
        for rate in self._rates:
            rate.multiply(factor)

    def averaged(self) -> contextlib.AbstractContextManager[None]:
        """Context manager: the classifier has the average of its weights, if there is one."""
        return self.averages.in_place() if self.averages else contextlib.nullcontext()

    @property
    def total_steps(self) -> int:
        """Number of steps of all rounds together."""
        return sum(self.round_lengths)

    @property
    def traces(self) -> int:
        """Number of times that the steps have been traced; 1 after any number of calls."""
        return self._run.experimental_get_tracing_count()

    def round_of(self, step: int) -> tuple[int, int]:
        """(number of the round that `step` belongs to, first step of that round)."""
        first = 0
        for number, length in enumerate(self.round_lengths):
            if step < first + length:
                return number, first
            first += length
        return len(self.round_lengths) - 1, first - self.round_lengths[-1]

    def enter_round(self, number: int, *, begin: bool) -> None:
        """Sets the learning rate for a round; with `begin`, also calls the game's `begin_round`.

        Args:
          number: number of the round.
          begin: True before the first step of the round; False if a run resumes within the round.
        """
        for rate in self._rates:
            rate.set_steps(self.round_lengths[number])
        if begin and number:
            self.game.begin_round(self.players, number)

    def run(self, first: int, count: int) -> dict[str, tf.Tensor]:
        """Takes steps first, ..., first + count - 1, all of one round.

        Returns:
          The means of the metrics over these steps, and `first_bad_step`: the first step whose risk
          was not finite; if all risks were finite but the weights are not, the step after the last
          one; else -1.
        """
        number, _ = self.round_of(first)
        arguments = [tf.constant(value, tf.int32) for value in (first, count, number)]
        if self.batches.in_memory:
            return self._run(*arguments)
        return self._run(*arguments, self._fed(first, count))

    def _fed(self, first, count):
        """Iterator of the batches from step `first` on: the one of the call before goes on."""
        if self._stream is None or self._stream_step != first or first + count > self._stream_end:
            last = max(self.total_steps, first + count)

            def stream(context):
                # One input pipeline per worker, for all replicas of that worker.
                local = self.replicas // context.num_input_pipelines
                own = context.input_pipeline_id * local
                return self.batches.stream(first, last, self.replicas, own, local)

            with self.strategy.scope():
                streams = self.strategy.distribute_datasets_from_function(stream)
            self._stream, self._stream_end = iter(streams), last
        self._stream_step = first + count
        return self._stream

    def _run_steps(self, first, count, number, iterator=None):
        with contextlib.ExitStack() as stack:
            for model in self.players.networks:
                stack.enter_context(computing_in(model, self.precision))
                stack.enter_context(optimized(model, "xla" if self._jit else "cpu"))

            def play(step):
                batch = iterator.get_next() if iterator is not None else None
                return self._one_step(step, number, batch)

            totals, bad = start(self.game.metrics)
            if self._programs is None:
                totals, bad = loop(play, first, count, totals, bad)
            else:
                totals, bad = self._programs.run(first, count, number, totals, bad)
        weights = self.players.classifier.model.trainable_variables
        finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(one)) for one in weights])
        bad = tf.where(finite | (bad >= 0), bad, first + count)
        means = {name: total / tf.cast(count, tf.float32) for name, total in totals.items()}
        return {**means, "first_bad_step": bad}

    def _one_step(self, step, number, batch):
        inputs = () if batch is None else (batch,)
        parts = self.strategy.run(self._replica_step, (step, number, *inputs))
        metrics = {
            name: self.strategy.reduce(tf.distribute.ReduceOp.SUM, part, axis=None)
            for name, part in parts.items()
        }
        if self.averages is not None:
            self.averages.update(first=tf.equal(step, tf.gather(self._firsts(), number)))
        return metrics, ~tf.math.is_finite(metrics["risk"])

    def _replica_step(self, step, number, batch=None):
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        share = self.batches.batch_size // self.replicas
        if batch is None:
            batch = self.batches.take(self.batches.indices(step, replica * share, share))
        if self._change is not None:
            images, *others = batch
            batch = self._change(images, step, replica * share), *others
        seed = step_seed(self._seed, step, replica)
        return self._play(*batch, number=number, seed=seed, strength=self._strength(step, number))

    def _strength(self, step, number):
        """Share of eta that the attacker has in a step; None without a ramp."""
        if not any(self._ramps):
            return None
        done = step + 1 - tf.gather(self._firsts(), number)
        ramp = tf.maximum(tf.gather(tf.constant(self._ramps), number), 1)
        return tf.minimum(1.0, tf.cast(done, tf.float32) / tf.cast(ramp, tf.float32))

    def _firsts(self):
        """The first step of each round, int32 [rounds]."""
        return tf.constant([sum(self.round_lengths[:i]) for i in range(len(self.round_lengths))])

    def _play_step(self, x, y, weights=None, *, number, seed, strength=None):
        return play_step(
            self.game,
            self.players,
            Batch(x, y),
            round=number,
            seed=seed,
            global_batch_size=self.batches.batch_size,
            replicas=self.replicas,
            weights=weights,
            strength=strength,
            label_smoothing=self._smoothing,
        )
