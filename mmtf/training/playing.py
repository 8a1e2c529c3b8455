"""One training step of a game on one replica, for the Trainer and for Keras' `fit`."""

import contextlib
import functools
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from mmtf.errors import ConfigError, reason_of, require
from mmtf.games.base import Game
from mmtf.games.players import Batch, Players, StepContext
from mmtf.training.dropout import seeded_dropout


@contextlib.contextmanager
def missing_derivatives_told(game: Game) -> Iterator[None]:
    """Context manager: a layer without the derivatives that a game needs ends in one line.

    Args:
      game: whose steps are traced inside.

    Raises:
      ConfigError: such a layer.
    """
    try:
        yield
    except LookupError as error:
        if "gradient registry" not in str(error):
            raise
        raise ConfigError(
            f"Expected a model whose layers have the derivatives that {type(game).__name__} needs. "
            f"Received: {reason_of(error)}. Use another layer (of Resizing, bilinear interpolation "
            "has them), or a game without second derivatives: penalty='finite_difference', LWA, "
            "or adversarial training."
        ) from error


def step_seed(seed: int, step: tf.Tensor, replica: Any) -> tf.Tensor:
    """The random seed of a step on a replica, int32 [2].

    Args:
      seed: of the run, in [0, 2^31).
      step: number of steps taken before, int32 scalar.
      replica: number of the replica.
    """
    base = tf.stack([tf.constant(seed, tf.int32), step])
    return tf.random.experimental.stateless_fold_in(base, replica)


def play_step(
    game: Game,
    players: Players,
    batch: Batch,
    *,
    seed: tf.Tensor,
    frozen: Sequence[keras.Variable] = (),
    **context: Any,
) -> dict[str, tf.Tensor]:
    """Takes a step of `game` with dropout masks and random starts that follow from `seed`.

    Args:
      game: the game.
      players: its players.
      batch: the clean examples of this replica.
      seed: see `step_seed`.
      frozen: see `mmtf.training.dropout.seeded_dropout`.
      **context: the other fields of `mmtf.games.StepContext`.

    Returns:
      The metrics of the game: this replica's shares of means over the global batch.

    Raises:
      ConfigError: the step returns other metrics than the game declares.
    """
    dropout = functools.partial(seeded_dropout, seed=seed, frozen=frozen)
    metrics = game.step(players, batch, StepContext(seed=seed, dropout=dropout, **context))
    names = set(game.metrics)
    require(
        set(metrics) == names and "risk" in names,
        f"the metrics {', '.join(game.metrics)} from a step of {type(game).__name__}, "
        "risk among them",
        ", ".join(metrics),
    )
    return metrics
