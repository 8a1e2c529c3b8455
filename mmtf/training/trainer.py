"""Many steps of a game in one compiled call, on one device or on many."""

import contextlib
import functools
from typing import Any

import keras
import tensorflow as tf

from mmtf.classifiers.precision import computing_in
from mmtf.config import Schedule
from mmtf.data.batches import Batches
from mmtf.errors import ConfigError, require
from mmtf.games.base import Turn
from mmtf.kernels import optimized
from mmtf.kernels.adam import Adam
from mmtf.kernels.keras_internals import layers_of, make_global_seed_generator
from mmtf.runtime import startup
from mmtf.training.dropout import seeded
from mmtf.training.learning_rate import Rate

# Of XLA's loop; more would draw many batches for a short call.
PROGRAM_STEPS = 500


class Trainer:
    """Plays a game's steps; holds its players.

    A step draws its batch, its dropout masks and its random starts from (seed, step, replica)
    alone, so a run stopped after any step goes on from there as if never stopped: bitwise on a CPU;
    on a GPU XLA may choose other kernels where what it tried has not been kept.

    Args:
      game: see `mmtf.games.base.Game`.
      classifier: built Keras model with float32 variables, made inside the strategy's scope.
      batches: where examples come from, made inside the strategy's scope, or, by each of several
        workers, outside of it.
      schedule: steps and learning rate.
      strategy: of tf.distribute; the global batch is divided among its replicas.
      precision: `float32` or `bfloat16`, of the steps.
      seed: of dropout, random starts and the initial weights of a game's attack network.
      jit_compile: a step, but for the drawing of its batch, is one program of XLA's, whose random
        numbers are others; with the default strategy alone.
      many_a_program: whether such a program takes many steps, not one; with jit_compile and batches
        in memory. None: on a GPU, for XLA's loops are slow on CPUs.
    """

    def __init__(
        self,
        game,
        classifier,
        batches: Batches,
        *,
        schedule: Schedule,
        strategy,
        precision,
        seed,
        jit_compile=False,
        many_a_program=None,
    ):
        self.game = game
        self.batches = batches
        self.strategy = strategy
        self.precision = precision
        self.replicas = strategy.num_replicas_in_sync
        self.round_lengths = schedule.round_lengths(game.rounds)
        self._seed = seed
        self._jit = jit_compile
        on_gpu = bool(tf.config.list_logical_devices("GPU"))
        if jit_compile:
            startup.set_xla_flags()
            if on_gpu:
                startup.cache_xla_autotuning()
        if batches.batch_size % self.replicas:
            raise ConfigError(
                f"Expected a batch size divisible by the {self.replicas} replicas. "
                f"Received: {batches.batch_size}."
            )
        if self.replicas > 1 and batches.batch_size // self.replicas % game.stride:
            raise ConfigError(
                f"Expected a batch size divisible by {game.stride} times the {self.replicas} "
                f"replicas, for {type(game).__name__} treats one example in {game.stride} "
                f"unlike the others. Received: {batches.batch_size}."
            )
        _refuse_local_statistics(classifier, self.replicas)

        make_global_seed_generator()
        self._rates = []

        def make_optimizer(variables=None, scale=1.0, updates=1):
            self._rates.append(Rate(schedule, self.round_lengths[0], scale, updates))
            optimizer = Adam(self._rates[-1])
            if variables is not None:
                optimizer.build(variables)
            return optimizer

        with strategy.scope():
            self.players = game.make_players(
                classifier, make_optimizer, batches.image_shape, batches.num_classes, seed
            )
        # AutoGraph off: translating what is traced, layers and all, takes longer than tracing it.
        self._run = tf.function(self._run_steps, autograph=False)
        self._program: Any = None
        self._play: Any = self._play_step
        if many_a_program is None:
            many_a_program = jit_compile and batches.in_memory and on_gpu
        require(
            not many_a_program or (jit_compile and batches.in_memory),
            "many_a_program with jit_compile and batches in memory",
            many_a_program,
        )
        if many_a_program:
            self._program = tf.function(self._program_steps, autograph=False, jit_compile=True)
        elif jit_compile:
            self._play = tf.function(self._play_step, autograph=False, jit_compile=True)

    @property
    def total_steps(self) -> int:
        return sum(self.round_lengths)

    @property
    def traces(self) -> int:
        """How often the steps have been traced; 1 after any number of calls."""
        return self._run.experimental_get_tracing_count()

    def round_of(self, step: int) -> tuple[int, int]:
        """(number of the round that `step` belongs to, its first step)."""
        first = 0
        for number, length in enumerate(self.round_lengths):
            if step < first + length:
                return number, first
            first += length
        return len(self.round_lengths) - 1, first - self.round_lengths[-1]

    def enter_round(self, number: int, *, begin: bool) -> None:
        """Before the first step of a round, or (begin=False) when a run resumes within it."""
        for rate in self._rates:
            rate.set_steps(self.round_lengths[number])
        if begin and number:
            self.game.begin_round(self.players, number)

    def run(self, first: int, count: int) -> dict[str, tf.Tensor]:
        """Takes steps first, ..., first + count - 1, all of one round.

        Returns:
          The metrics' means over these steps, and `first_bad_step`: the first step whose risk was
          not finite, -1 if none was; the step after them where their weights are not.
        """
        number, _ = self.round_of(first)
        arguments = [tf.constant(value, tf.int32) for value in (first, count, number)]
        if self.batches.in_memory:
            return self._run(*arguments)

        def stream(context):
            # One pipeline a worker, for the replicas of that worker.
            local = self.replicas // context.num_input_pipelines
            own = context.input_pipeline_id * local
            return self.batches.stream(first, first + count, self.replicas, own, local)

        with self.strategy.scope():
            streams = self.strategy.distribute_datasets_from_function(stream)
        return self._run(*arguments, iter(streams))

    def _run_steps(self, first, count, number, iterator=None):
        models = self.players.models.values()
        with contextlib.ExitStack() as stack:
            for model in models:
                stack.enter_context(computing_in(model, self.precision))
                stack.enter_context(optimized(model, "xla" if self._jit else "cpu"))
            if self._program is not None:
                totals, bad = self._programs(first, count, number)
            else:

                def play(step):
                    batch = iterator.get_next() if iterator is not None else None
                    return self._one_step(step, number, batch)

                totals, bad = self._loop(first, count, play)
        weights = self.players.classifier.trainable_variables
        finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(one)) for one in weights])
        bad = tf.where(finite | (bad >= 0), bad, first + count)
        means = {name: total / tf.cast(count, tf.float32) for name, total in totals.items()}
        return {**means, "first_bad_step": bad}

    def _loop(self, first, count, play, totals=None, bad=-1):
        """Steps first, ..., first + count - 1 by play(step): (metrics' sums, first bad step)."""

        def body(step, totals, bad):
            metrics, broken = play(step)
            totals = {name: totals[name] + metrics[name] for name in totals}
            return step + 1, totals, tf.where(broken & (bad < 0), step, bad)

        totals = totals or {name: tf.constant(0.0) for name in self.game.metrics}
        _, totals, bad = tf.while_loop(
            lambda step, *_: step < first + count, body, (first, totals, tf.convert_to_tensor(bad))
        )
        return totals, bad

    def _programs(self, first, count, number):
        """The same by programs of XLA's, of PROGRAM_STEPS steps at most."""
        last, batch = first + count, self.batches.batch_size
        longest = max(min(self.batches.size // batch, PROGRAM_STEPS), 1)

        def body(step, totals, bad):
            # Outside of the program, for XLA has no such operation; all at once, so that the host
            # draws nothing between steps.
            drawn = self.batches.indices(step, 0, longest * batch)
            table = tf.cast(tf.reshape(drawn, [longest, batch]), tf.int32)
            steps = tf.minimum(last - step, longest)
            totals, bad = self._program(table, step, steps, number, totals, bad)
            return step + steps, totals, bad

        totals = {name: tf.constant(0.0) for name in self.game.metrics}
        _, totals, bad = tf.while_loop(
            lambda step, *_: step < last, body, (first, totals, tf.constant(-1))
        )
        return totals, bad

    def _program_steps(self, table, first, count, number, totals, bad):
        def play(step):
            # Not a slice: XLA would compile it anew for each place.
            indices = tf.gather(table, step - first)
            return self._one_step(step, number, self.batches.take(indices))

        return self._loop(first, count, play, totals, bad)

    def _one_step(self, step, number, batch):
        inputs = () if batch is None else (batch,)
        parts = self.strategy.run(self._replica_step, (step, number, *inputs))
        metrics = {
            name: self.strategy.reduce(tf.distribute.ReduceOp.SUM, part, axis=None)
            for name, part in parts.items()
        }
        return metrics, ~tf.math.is_finite(metrics["risk"])

    def _replica_step(self, step, number, batch=None):
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        if batch is None:
            share = self.batches.batch_size // self.replicas
            batch = self.batches.take(self.batches.indices(step, replica * share, share))
        seed = tf.stack([tf.constant(self._seed, tf.int32), step])
        seed = tf.random.experimental.stateless_fold_in(seed, replica)
        return self._play(*batch, number, seed)

    def _play_step(self, x, y, number, seed):
        turn = Turn(
            round=number,
            seed=seed,
            global_batch_size=self.batches.batch_size,
            replicas=self.replicas,
            randomness=functools.partial(seeded, seed=seed),
        )
        return self.game.step(self.players, x, y, turn)


def _refuse_local_statistics(model, replicas):
    if replicas == 1:
        return
    for layer in layers_of(model):
        if isinstance(layer, keras.layers.BatchNormalization) and not layer.synchronized:
            raise ConfigError(
                f"Expected BatchNormalization(synchronized=True) on {replicas} replicas, whose "
                f"moving statistics would differ otherwise. Received: layer {layer.name!r}."
            )
