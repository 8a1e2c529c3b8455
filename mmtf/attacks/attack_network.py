"""A trained attack network as an attack: one forward pass an image (section 4.1)."""

import dataclasses
from typing import Any

import keras
from tensorflow import Tensor

from mmtf.attacks.base import Attack


@dataclasses.dataclass(eq=False, repr=False)
class LearnedAttack(Attack):
    """z = z(x, y; v), the output of a network that has been trained to maximize the risk.

    Args:
      threat: the ball and the box that the network's output keeps.
      network: Keras model [images, labels] -> perturbed images, of `mmtf.nets.ATTACK_NETS`.
    """

    queries_model = False
    network: keras.Model

    def run(self, classifier: Any, x: Tensor, labels: Tensor, seed: Tensor) -> Tensor:
        return self.network([x, labels], training=False)
