"""The cat-and-mouse game of section 3.1."""

import keras
import tensorflow as tf

from mmtf.attacks.single_step import FGSM
from mmtf.errors import require
from mmtf.games.base import Game, Players
from mmtf.threat import ThreatModel


class AdvFGSM(Game):
    """Adversarial training in rounds, each against the FGSM of the round before (Tables 2, 3).

    Round 0 trains the undefended classifier. In round k = 1, ..., `rounds` the attacker makes
    FGSM k on the frozen classifier k - 1, and the defender trains, from classifier k - 1 on, with
    a fresh optimizer, on a 1:1 mixture of clean images and those frozen adversarial images: every
    other example of a batch is perturbed.

    Args:
      threat: the constraint of Eq. 5, l-infinity.
      rounds: > 0; the paper has 80 (MNIST) and 40 (CIFAR-10).
    """

    paper_steps = {"mnist": 50_000, "cifar10": 100_000}
    stride = 2
    fast_steps = {"mnist": 600, "cifar10": 3000}
    fast_first_steps = {"mnist": 1500, "cifar10": 12_000}
    brief_steps = {"mnist": 400}
    brief_first_steps = {"mnist": 1300}

    def __init__(self, threat: ThreatModel, *, rounds: int = 3):
        super().__init__(threat)
        require(rounds > 0, "rounds > 0", rounds)
        self.rounds = rounds
        self._attack = FGSM(threat)

    def make_players(self, classifier, make_optimizer, image_shape, num_classes, seed=0):
        players = super().make_players(classifier, make_optimizer, image_shape, num_classes, seed)
        frozen = keras.models.clone_model(classifier)
        frozen.trainable = False
        players.models["frozen"] = frozen
        return players

    def begin_round(self, players: Players, number: int) -> None:
        for frozen, current in zip(
            players.models["frozen"].weights, players.classifier.weights, strict=True
        ):
            frozen.assign(current)
        for variable in players.optimizers["classifier"].variables:
            if not variable.path.endswith("learning_rate"):
                variable.assign(tf.zeros_like(variable))

    def perturb(self, players, x, y, turn):
        clean, target = x[0::2], x[1::2]
        perturbed = tf.cond(
            turn.round > 0,  # round 0 has no adversary yet
            lambda: self._attack(players.models["frozen"], target, y[1::2]),
            lambda: target,
        )
        return tf.concat([clean, perturbed], 0), tf.concat([y[0::2], y[1::2]], 0)
