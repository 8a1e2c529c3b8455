"""Attack by a trained attack network: one forward pass per image (section 4.1)."""

import dataclasses
from typing import Any

import keras
from tensorflow import Tensor

from mmtf.attacks.base import Attack
from mmtf.config import NORMS


@dataclasses.dataclass(eq=False, repr=False)
class LearnedAttack(Attack):
    """z = z(x, y; v): the output of a network trained to maximize the classifier's risk.

    Args:
      threat: threat model that the network's output satisfies.
      network: Keras model [images, labels] -> perturbed images, as in `mmtf.nets.ATTACK_NETS`.
    """

    norms = NORMS
    queries_model = False
    network: keras.Model

    def run(self, classifier: Any, x: Tensor, labels: Tensor, seed: Tensor) -> Tensor:
        return self.network([x, labels], training=False)
