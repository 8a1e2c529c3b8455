"""What a game tells the training loop, and what the loop tells a game."""

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from mmtf import losses
from mmtf.attacks import ATTACKS
from mmtf.attacks.iterated import IteratedAttack
from mmtf.threat import ThreatModel, require_threat


@dataclasses.dataclass(frozen=True)
class Players:
    """The models of a game and what moves them, optimizers or a solver, under one name each.

    Everything here is checkpointed. `models["classifier"]` is the defender.
    """

    models: dict[str, keras.Model]
    optimizers: dict[str, Any]

    @property
    def classifier(self) -> keras.Model:
        return self.models["classifier"]


@dataclasses.dataclass(frozen=True)
class Turn:
    """What a game may know of the step it is asked to take, inside one replica.

    Attributes:
      round: int32, the number of the round.
      seed: int32 [2], of this step and replica.
      global_batch_size: examples over all replicas: mean risks divide by it.
      replicas: number of replicas.
      randomness: randomness(*models) is a context in which the models' dropout draws from this
        step's seed; entered again, it draws the same masks again. With also=[(variable, tensor)]
        these variables read as the tensors.
    """

    round: tf.Tensor
    seed: tf.Tensor
    global_batch_size: int
    replicas: int
    randomness: Callable[..., Any]

    def mean(self, per_example):
        """This replica's part of the mean over the global batch; the replicas' parts add up."""
        return tf.reduce_sum(per_example) / self.global_batch_size


class Game:
    """A zero-sum game min_u max_Z f(u, Z) over the mean risk f of Eq. 2, played by gradient steps.

    The default is a game whose attacker's answer Z is computed, not learned: a max step
    (`perturb`) and a min step on `objective` with Z held constant. Subclasses override these two,
    or `step` altogether.

    Attributes:
      threat: the constraint of Eq. 5.
      rounds: after round 0, how often the players are re-made by `begin_round`.
      metrics: names of what `step` returns.
      stride: every how many examples of a batch one is treated unlike the others; what falls to
        one of several replicas has to be a multiple of it.
      learns_attacker: whether the players include an attack network, under `attacker`.
    """

    rounds = 0
    metrics: tuple[str, ...] = ("risk",)
    stride = 1
    learns_attacker = False

    def __init__(self, threat: ThreatModel):
        require_threat(threat)
        self.threat = threat

    def make_players(self, classifier, make_optimizer, image_shape, num_classes, seed=0) -> Players:
        """Names the players; called inside the strategy's scope, before any step.

        Args:
          classifier: built Keras model, images -> logits.
          make_optimizer: make_optimizer(variables) -> a built Keras optimizer; without variables
            one yet to be built; scale=s multiplies its learning rate, updates=k says that it
            is applied k times a step.
          image_shape: (H, W, C).
          num_classes: number of logits.
          seed: of what is initialized here.
        """
        optimizer = make_optimizer(classifier.trainable_variables)
        return Players({"classifier": classifier}, {"classifier": optimizer})

    def begin_round(self, players: Players, number: int) -> None:
        """Called on the host before the first step of round `number` > 0."""

    def step(self, players: Players, x, y, turn: Turn) -> dict[str, tf.Tensor]:
        """One max step and one min step; returns this replica's parts of the global means.

        Traced without AutoGraph: tf.cond or tf.where, not `if`, on a tensor's value.
        """
        z, y = self.perturb(players, x, y, turn)
        z = tf.stop_gradient(z)
        classifier = players.classifier
        with tf.GradientTape() as tape:
            with turn.randomness(classifier):
                objective, metrics = self.objective(classifier, z, y, turn)
            objective += regularization(classifier) / turn.replicas
        variables = classifier.trainable_variables
        players.optimizers["classifier"].apply(tape.gradient(objective, variables), variables)
        return metrics

    def perturb(self, players: Players, x, y, turn: Turn):
        """The max step: (Z, labels), with as many examples as `x`."""
        raise NotImplementedError(f"{type(self).__name__} must define perturb or step.")

    def objective(self, classifier, z, y, turn: Turn):
        """(what the min step descends, metrics); here the mean risk f(u, Z) of Eq. 2."""
        risk = turn.mean(losses.cross_entropy(classifier(z, training=True), y))
        return risk, {"risk": risk}

    def __repr__(self):
        names = list(inspect.signature(type(self).__init__).parameters)[1:]
        arguments = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__name__}({arguments})"


def regularization(model):
    """The sum of the model's own weight penalties, 0 where it has none."""
    return tf.add_n(model.losses) if model.losses else 0.0


def steepest_attack(threat: ThreatModel, steps: int):
    """The attacker's answer in training: one steepest step (FGSM, FGM), or `steps` smaller ones."""
    if steps == 1:
        return ATTACKS["fgsm" if threat.norm == "linf" else "fgm"](threat)
    return IteratedAttack(threat, steps=steps, stop_early=False)
