"""The defender's best response to a fixed attack network."""

from collections.abc import Callable
from typing import Any

import keras

from mmtf.attacks.attack_network import require_images
from mmtf.classifiers.classifier import Classifier
from mmtf.games.base import Game
from mmtf.games.players import Batch, Players, StepContext
from mmtf.threat import ThreatModel


class BestDefense(Game):
    """min_u f(u, v) for a fixed attacker v; its solution is u*(v) of Lemma 1.

    Args:
      threat: the constraint that the images of `attacker` satisfy.
      attacker: Keras model [images, labels] -> perturbed images; its weights are not updated.

    Raises:
      ConfigError: once the image size is known: `attacker` takes other images.
    """

    input_gradients = False

    def __init__(self, threat: ThreatModel, *, attacker: keras.Model):
        super().__init__(threat)
        self.attacker = attacker

    def make_players(
        self,
        classifier: Classifier | keras.Model,
        make_optimizer: Callable[..., Any],
        image_shape: tuple[int, int, int],
        num_classes: int,
        seed: int = 0,
    ) -> Players:
        require_images(self.attacker, image_shape)
        players = super().make_players(classifier, make_optimizer, image_shape, num_classes, seed)
        players.models["attacker"] = self.attacker
        return players

    def perturb(self, players: Players, batch: Batch, context: StepContext) -> Batch:
        return Batch(self.attacker([batch.x, batch.y], training=False), batch.y)
