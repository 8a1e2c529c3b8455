"""The defender's best response to a fixed attack network."""

import dataclasses

import keras

from mmtf.games.base import Game
from mmtf.threat import ThreatModel


class BestDefense(Game):
    """min_u f(u, v) for a fixed attacker v, the u*(v) of Lemma 1.

    Args:
      threat: which `attacker` keeps.
      attacker: Keras model [images, labels] -> perturbed images; stays as it is.
    """

    def __init__(self, threat: ThreatModel, *, attacker: keras.Model):
        super().__init__(threat)
        self.attacker = attacker

    def make_players(self, classifier, make_optimizer, image_shape, num_classes, seed=0):
        players = super().make_players(classifier, make_optimizer, image_shape, num_classes, seed)
        models = {**players.models, "attacker": self.attacker}
        return dataclasses.replace(players, models=models)

    def perturb(self, players, x, y, turn):
        return self.attacker([x, y], training=False), y
