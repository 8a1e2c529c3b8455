"""Attack by a trained attack network: one forward pass per image (section 4.1)."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
from tensorflow import Tensor

from mmtf.attacks.base import Attack
from mmtf.config import NORMS
from mmtf.errors import require


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

    def supports(self, classifier: Any, x: Any) -> None:
        require_images(self.network, x.shape[1:])

    def run(self, classifier: Any, x: Tensor, labels: Tensor, seed: Tensor) -> Tensor:
        return self.network([x, labels], training=False)


def require_images(network: keras.Model, image_shape: Sequence[int | None]) -> None:
    """Raises ConfigError if an attack network takes images of another shape; subclasses pass.

    Args:
      network: Keras model [images, labels] -> perturbed images.
      image_shape: (H, W, C).
    """
    for images in (network.inputs or [])[:1]:
        sizes = zip(images.shape[1:], image_shape, strict=False)
        fits = len(images.shape) == len(image_shape) + 1
        fits = fits and all(None in pair or pair[0] == pair[1] for pair in sizes)
        told = f"images of the shape {tuple(images.shape[1:])}, as the attack network takes them"
        require(fits, told, tuple(image_shape))
