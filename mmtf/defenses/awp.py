"""Adversarial weight perturbation, around any game with a max step and a min step."""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from mmtf.classifiers.classifier import Classifier
from mmtf.errors import ConfigError, require, require_int, require_number
from mmtf.games.base import Game
from mmtf.games.players import Batch, Players, StepContext
from mmtf.solvers.base import cross_replica_sum

# Added to the norm of the gradient, as in the authors' code: a zero gradient gives no perturbation.
TINY = 1e-20


class AWP(Game):
    """min_u max_v of another game's objective at the weights u + v (Wu et al. 2020).

    The max step is the other game's. Then each tensor w of more than one axis is moved by

        v = gamma ||w|| D / ||D||,  D the gradient of the objective with respect to w,

    the gradient of the objective is computed at w + v, and the optimizer applies it to w. The
    weights themselves are never changed by v. The authors' gamma is 0.01 for adversarial training
    and MART, 0.005 for TRADES, and they begin after 10 of 200 epochs (`after`). D is that of the
    objective without the penalties of the layers' weights, computed in training mode; its pass does
    not update moving statistics. Compared with the game alone, a step costs one gradient of the
    objective more.

    Games that define a `step` of their own (network games, `Free`) cannot be wrapped.

    Args:
      game: the game to wrap, as mmtf.games.AdvPGD(threat).
      gamma: ||v|| / ||w||, >= 0; 0 is the game alone.
      after: number of steps of the optimizer before weights are perturbed, >= 0; counted anew in
        each round of a game in rounds.

    Raises:
      ConfigError: `game` defines a step of its own.

    Example:
      >>> import mmtf
      >>> game = mmtf.games.AWP(mmtf.games.LWA(mmtf.ThreatModel(eta=0.3)), gamma=0.01)
      >>> schedule = mmtf.Schedule(steps=2, batch_size=16)
      >>> mmtf.train(game, mmtf.load_data("digits"), schedule=schedule, progress=False).steps
      2
    """

    def __init__(self, game: Game, *, gamma: float = 0.01, after: int = 0):
        require(isinstance(game, Game), "a game, as mmtf.games.AdvPGD(threat)", game)
        super().__init__(game.threat)
        require_number("gamma", gamma, at_least=0)
        require_int("after", after, at_least=0)
        if type(game).step is not Game.step:
            raise ConfigError(
                "Expected a game whose step is one max step and one min step, for AWP. "
                f"Received: {type(game).__name__}, which defines a step of its own."
            )
        self.game = game
        self.gamma = gamma
        self.after = after
        self.rounds = game.rounds
        self.metrics = game.metrics
        self.batch_divisor = game.batch_divisor
        # What a game declares, admission asks of the outer one.
        self.input_gradients = game.input_gradients
        self.trains_classifier = game.trains_classifier
        self.smooths_labels = game.smooths_labels
        self.penalty_every = getattr(game, "penalty_every", 1)

    @property
    def single_step(self) -> bool:
        return self.game.single_step

    @property
    def trains_networks(self) -> bool:
        return self.game.trains_networks

    def make_players(
        self,
        classifier: Classifier | keras.Model,
        make_optimizer: Callable[..., Any],
        image_shape: tuple[int, int, int],
        num_classes: int,
        seed: int = 0,
    ) -> Players:
        return self.game.make_players(classifier, make_optimizer, image_shape, num_classes, seed)

    def begin_round(self, players: Players, number: int) -> None:
        self.game.begin_round(players, number)

    def step(self, players: Players, batch: Batch, context: StepContext) -> dict[str, tf.Tensor]:
        if not self.gamma:
            return self.game.step(players, batch, context)
        perturbed, context = self.game.max_step(players, batch, context)
        variables = self.trainable(players)
        weights = [tf.convert_to_tensor(one) for one in variables]
        gradients = self._ascent(players, batch, perturbed, context)
        begun = players.updaters["classifier"].iterations >= self.after
        gamma = self.gamma * tf.cast(begun, tf.float32)
        at = [
            one + perturbation(one, gradient, gamma)
            for one, gradient in zip(weights, gradients, strict=True)
        ]
        return self.game.min_step(players, batch, perturbed, context, at)

    def _ascent(self, players, batch, perturbed, context):
        """The gradient of the objective over all replicas; None where it does not reach."""
        quiet = dataclasses.replace(context, observed=None)
        optimizer = players.updaters["classifier"]
        # The outer scope drops what layers assign in this pass, such as moving statistics.
        with keras.StatelessScope(initialize_variables=False), tf.GradientTape() as tape:
            with quiet.dropout(*players.networks):
                loss, _ = self.game.objective(players, batch, perturbed, quiet)
            scaled = optimizer.scale_loss(loss)
        found = tape.gradient(scaled, self.trainable(players))
        reached = [tf.convert_to_tensor(one) for one in found if one is not None]
        summed = iter(cross_replica_sum(reached))
        return [None if one is None else next(summed) for one in found]

    def perturb(self, players: Players, batch: Batch, context: StepContext) -> Batch:
        return self.game.perturb(players, batch, context)

    def arranged(self, values: tf.Tensor) -> tf.Tensor:
        return self.game.arranged(values)

    def objective(
        self, players: Players, clean: Batch, perturbed: Batch, context: StepContext
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        return self.game.objective(players, clean, perturbed, context)

    def trainable(self, players: Players) -> list[keras.Variable]:
        return self.game.trainable(players)

    def deployed(self, players: Players) -> Classifier:
        return self.game.deployed(players)


def perturbation(
    weight: tf.Tensor, gradient: tf.Tensor | None, gamma: float | tf.Tensor
) -> tf.Tensor:
    """v = gamma ||w|| D / ||D|| for a tensor w of more than one axis; else zeros.

    Args:
      weight: w.
      gradient: D, of its shape; None: zeros.
      gamma: the length of v relative to that of w.

    Example:
      >>> w, d = tf.constant([[3.0], [4.0]]), tf.constant([[0.0], [2.0]])
      >>> print(perturbation(w, d, 0.1).numpy().round(2).tolist())
      [[0.0], [0.5]]
    """
    if gradient is None or weight.shape.rank <= 1:
        return tf.zeros_like(weight)
    return gamma * tf.norm(weight) * gradient / (tf.norm(gradient) + TINY)
