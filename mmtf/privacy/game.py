"""`PrivacyGame`: the objective of the minimax filter, played by the solvers of `mmtf.solvers`."""

import os
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from mmtf.errors import require, require_choice, require_int, require_number, require_seed
from mmtf.functional import call
from mmtf.privacy.examples import PrivacyData
from mmtf.privacy.filters import standardized
from mmtf.runtime.console import say
from mmtf.solvers import SOLVERS
from mmtf.solvers.base import Objective, Solver, Tensors
from mmtf.solvers.solving import switched
from mmtf.storage.checkpoint_files import checkpoint_manager, restore_newest, saving
from mmtf.storage.files import UNREADABLE, read_json, write_json

ORDERS = ("minimax", "maximin")
ADVERSARIES = ("softmax", "mlp")
LEADER_RATE, FOLLOWER_RATE = 1e-2, 5e-2
FULL_BATCH = 5_000
HISTORY = "history.json"  # beside the checkpoints
DEFAULTS: dict[str, dict[str, Any]] = {"k_beam": {"beams": 4}}


class Solved(NamedTuple):
    """The result of `PrivacyGame.play`.

    Attributes:
      filter: Keras model of raw examples [N, ...] -> z [N, d], each output standardized on the
        training examples.
      history: one dictionary for each logged step: `step`, `value` (F), and `target` and `private`,
        the accuracies of the two players' classifiers on the training examples.
    """

    filter: keras.Model
    history: list[dict[str, float]]


class PrivacyGame:
    """A filter and a target classifier against an adversary who predicts the private attribute.

    The problem is

        min_{u,w} max_v F,    F = rho CE_target(u, w) - CE_private(u, v)
                                  + l2/2 ||u||^2 + l2_heads/2 (||w||^2 - ||v||^2)

    with the filter z = g(x; u), whose outputs are standardized over the batch, the target
    classifier w and the adversary v, both on z, and mean cross-entropies CE in nats. The last term
    makes the adversary's maximizer unique. Without standardization a filter could seem private by
    shrinking its outputs.

    Args:
      data: the examples; only the training part is used.
      filter: a Keras model of raw examples [N, ...] -> [N, d] (`mmtf.privacy.FILTERS` or your own).
      rho: weight of the target, > 0.
      l2: weight of the squared norm of the filter's variables, >= 0.
      l2_heads: weight of the squared norms of the two classifiers' variables, > 0.
      adversary: `softmax` (linear in z) or `mlp` (32 hidden units).
      order: `minimax`: the filter leads and the adversary answers; `maximin`: the adversary leads,
        and filter and target classifier answer.
      seed: of the classifiers' initial weights and of the batches.

    Raises:
      ConfigError: an argument outside its range.

    Source: Hamm and Mehra, section 5.2; Hamm, "Minimax Filter: Learning to Preserve Privacy from
    Inference Attacks", JMLR 2017.

    Example:
      >>> from mmtf.privacy import linear, load_data
      >>> data = load_data("digits")
      >>> game = PrivacyGame(data, linear(data, 2))
      >>> game.play(steps=2).filter(data.x_test[:3]).shape
      TensorShape([3, 2])
    """

    def __init__(
        self,
        data: PrivacyData,
        filter: keras.Model,
        *,
        rho: float = 0.3,
        l2: float = 1e-6,
        l2_heads: float = 1e-3,
        adversary: str = "mlp",
        order: str = "minimax",
        seed: int = 0,
    ):
        require_number("rho", rho, above=0)
        require_number("l2_heads", l2_heads, above=0)
        require_number("l2", l2, at_least=0)
        require_seed(seed)
        require_choice("adversary", adversary, ADVERSARIES)
        require_choice("order", order, ORDERS)
        self.data, self.filter = data, filter
        self.rho, self.l2, self.l2_heads = rho, l2, l2_heads
        self.order, self.seed = order, seed
        keras.utils.set_random_seed(seed)
        shape = filter.output_shape[1:]
        self.classifier = _head(shape, data.target_classes, "softmax", "target")
        self.adversary = _head(shape, data.private_classes, adversary, "private")

    @property
    def leader(self) -> list[keras.Variable]:
        """The variables (u, w) of the filter and of the target classifier."""
        return [*self.filter.trainable_variables, *self.classifier.trainable_variables]

    @property
    def follower(self) -> list[keras.Variable]:
        """The adversary's variables v."""
        return list(self.adversary.trainable_variables)

    def objective(self, x: tf.Tensor, target: tf.Tensor, private: tf.Tensor) -> Objective:
        """F on a batch as a function of the players' values.

        Args:
          x: [N, ...]; target, private: int [N].

        Returns:
          ((u, w), v) -> scalar.
        """
        own = len(self.filter.trainable_variables)

        def f(leader: Tensors, v: Tensors) -> tf.Tensor:
            u, w = leader[:own], leader[own:]
            z = standardize(call(self.filter, u, x))
            keeps = _cross_entropy(call(self.classifier, w, z), target)
            hides = _cross_entropy(call(self.adversary, v, z), private)
            sizes = self.l2 * _squares(u) + self.l2_heads * (_squares(w) - _squares(v))
            return self.rho * keeps - hides + sizes / 2

        return f

    def play(
        self,
        *,
        solver: str | Solver = "alternating",
        steps: int = 1500,
        batch_size: int | None = None,
        log_every: int = 100,
        folder: str | None = None,
        log: Callable[[dict[str, float]], None] | None = None,
    ) -> Solved:
        """Takes `steps` solver steps from the current weights.

        Args:
          solver: a name of `mmtf.solvers.SOLVERS`, with Adam of rate 0.01 for the leader and 0.05
            for the follower (k_beam: 4 candidates), or a Solver.
          steps: > 0.
          batch_size: examples in a step, drawn at random; None: all of them, or 512 where there are
            more than 5,000.
          log_every: steps between two entries of the history and two checkpoints, > 0.
          folder: folder of checkpoints, from which a stopped game resumes with the same result
            and the whole history; None: no checkpoints.
          log: called with every new entry of the history.

        Raises:
          ConfigError: an unknown solver, values that are not finite, or a folder with another
            program's checkpoints.
          CheckpointError: a checkpoint cannot be written, or none can be read.
        """
        require_int("steps", steps)
        require_int("log_every", log_every)
        if batch_size is not None:
            require_int("batch_size", batch_size)
        rule = self._solver(solver)
        leads = self.order == "minimax"
        rule.build(*((self.leader, self.follower) if leads else (self.follower, self.leader)))
        step = tf.Variable(0, dtype=tf.int64)
        saved = tf.train.Checkpoint(
            step=step,
            solver=rule,
            filter=self.filter,
            classifier=self.classifier,
            adversary=self.adversary,
        )
        manager = checkpoint_manager(saved, folder) if folder else None
        if folder:
            restore_newest(
                folder, lambda path: saved.restore(path).assert_existing_objects_matched(), say
            )
        run = self._loop(rule, step, batch_size)
        history = _history(folder, int(step)) if folder else []
        while int(step) < steps:
            value = run(tf.minimum(tf.constant(steps, tf.int64), step + log_every))
            require(bool(tf.math.is_finite(value)), "a finite value of F", float(value))
            history.append({"step": int(step), "value": float(value), **self._accuracies()})
            if log is not None:
                log(history[-1])
            if manager:
                with saving(int(step), manager.directory):
                    # First, so that a kill in between leaves no checkpoint without its history.
                    os.makedirs(manager.directory, exist_ok=True)
                    write_json(os.path.join(manager.directory, HISTORY), history)
                    manager.save(checkpoint_number=int(step))
        return Solved(standardized(self.filter, self.data.x_train), history)

    def _solver(self, given):
        if isinstance(given, Solver):
            return given
        require_choice("solver", given, SOLVERS)
        rates = {"u_optimizer": LEADER_RATE, "v_optimizer": FOLLOWER_RATE}
        if self.order == "maximin":
            rates = dict(zip(rates, reversed(rates.values()), strict=True))
        optimizers = {name: keras.optimizers.Adam(rate) for name, rate in rates.items()}
        return SOLVERS[given](**optimizers, **DEFAULTS.get(given, {}))

    def _loop(self, rule, step, batch_size):
        arrays = (self.data.x_train, self.data.target_train, self.data.private_train)
        x, target, private = (tf.constant(one) for one in arrays)
        count = len(arrays[0])
        size = batch_size or (count if count <= FULL_BATCH else 512)

        def advance():
            batch = (x, target, private)
            if size < count:
                seed = tf.stack([tf.constant(self.seed, tf.int64), step.read_value()])
                drawn = tf.random.stateless_uniform([size], seed, 0, count, tf.int32)
                batch = tuple(tf.gather(one, drawn) for one in batch)
            f = self.objective(*batch)
            value = rule.step(f if self.order == "minimax" else switched(f))["value"]
            step.assign_add(1)
            return value if self.order == "minimax" else -value

        @tf.function(autograph=False)
        def run(until):
            return tf.while_loop(lambda _: step < until, lambda _: [advance()], [tf.constant(0.0)])[
                0
            ]

        return run

    def _accuracies(self) -> dict[str, float]:
        z = standardize(self.filter(self.data.x_train))
        pairs = {
            "target": (self.classifier, self.data.target_train),
            "private": (self.adversary, self.data.private_train),
        }
        return {
            name: float(tf.reduce_mean(tf.cast(tf.argmax(model(z), -1, tf.int32) == y, tf.float32)))
            for name, (model, y) in pairs.items()
        }


def standardize(z: tf.Tensor) -> tf.Tensor:
    """Gives each column of z [N, d] mean 0 and variance 1 over the batch; differentiable.

    Example:
      >>> standardize(tf.constant([[1.0], [3.0]])).numpy().round(3).tolist()
      [[-1.0], [1.0]]
    """
    mean, variance = tf.nn.moments(z, 0)
    return (z - mean) * tf.math.rsqrt(variance + 1e-8)


def _history(folder, step):
    """The points up to a checkpoint's step that earlier calls logged; [] if they cannot be read."""
    try:
        return [
            point for point in read_json(os.path.join(folder, HISTORY)) if point["step"] <= step
        ]
    except UNREADABLE + (TypeError,):
        return []


def _head(shape, classes, kind, name):
    layers = [keras.Input(shape)]
    if kind == "mlp":
        layers.append(keras.layers.Dense(32, "relu"))
    return keras.Sequential([*layers, keras.layers.Dense(classes)], name=name)


def _cross_entropy(logits, labels):
    return tf.reduce_mean(
        tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
    )


def _squares(tensors):
    return tf.add_n([tf.reduce_sum(tf.square(one)) for one in tensors])
