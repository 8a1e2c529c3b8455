"""FGSM adversarial training in rounds: the cat-and-mouse game of section 3.1."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from mmtf.attacks.single_step import FGSM
from mmtf.classifiers.classifier import Classifier
from mmtf.errors import require_int
from mmtf.games.base import Game
from mmtf.games.frozen import FrozenClassifier
from mmtf.games.players import Batch, Players, StepContext
from mmtf.threat import ThreatModel


class AdvFGSM(Game):
    """Adversarial training in rounds, each against the FGSM of the round before (Tables 2, 3).

    Round 0 trains the undefended classifier. In round k = 1, ..., `rounds` the attacker computes
    FGSM examples (FGSM k) on the frozen classifier k - 1. The defender starts from classifier
    k - 1, with a new optimizer, and trains on a 1:1 mixture of clean images and these adversarial
    examples: every other example of a batch is perturbed.

    Args:
      threat: the constraint of Eq. 5, with the norm `linf`.
      rounds: number of rounds after round 0, > 0; the paper uses 80 (MNIST) and 40 (CIFAR-10).
    """

    batch_divisor = 2
    single_step = True

    def __init__(self, threat: ThreatModel, *, rounds: int = 3):
        super().__init__(threat)
        require_int("rounds", rounds)
        self.rounds = rounds
        self._attack = FGSM(threat)

    def make_players(
        self,
        classifier: Classifier | keras.Model,
        make_optimizer: Callable[..., Any],
        image_shape: tuple[int, int, int],
        num_classes: int,
        seed: int = 0,
    ) -> Players:
        players = super().make_players(classifier, make_optimizer, image_shape, num_classes, seed)
        players.models["frozen"] = FrozenClassifier(players.classifier)
        return players

    def begin_round(self, players: Players, number: int) -> None:
        players.models["frozen"].store()
        super().begin_round(players, number)

    def perturb(self, players: Players, batch: Batch, context: StepContext) -> Batch:
        x, y = batch
        clean, target = x[0::2], x[1::2]
        perturbed = tf.cond(
            context.round > 0,  # round 0 has no adversary yet
            lambda: self._attack(players.models["frozen"], target, y[1::2]),
            lambda: target,
        )
        return Batch(tf.concat([clean, perturbed], 0), self.arranged(y))

    def arranged(self, values: tf.Tensor) -> tf.Tensor:
        return tf.concat([values[0::2], values[1::2]], 0)
