"""Which auto-encoders and detectors MagNet has for which images, with the authors' numbers."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from mmtf.errors import require_choice


@dataclasses.dataclass(frozen=True)
class Rule:
    """A detector to be made.

    Attributes:
      architecture: of its auto-encoder, `I` or `II`.
      rate: largest share of unperturbed images to reject.
      p: power of the reconstruction error; None: a divergence detector.
      temperature: of a divergence detector.
    """

    architecture: str
    rate: float
    p: float | None = None
    temperature: float | None = None


@dataclasses.dataclass(frozen=True)
class Recipe:
    """MagNet for one kind of images.

    Attributes:
      name: of the recipe.
      reformer: architecture of the reformer's auto-encoder, `I` or `II`.
      rules: the detectors.
      noise: deviation of the Gaussian noise on the inputs in training, pixels in [0, 1].
    """

    name: str
    reformer: str
    rules: tuple[Rule, ...]
    noise: float

    @property
    def architectures(self) -> list[str]:
        """The auto-encoders to train, each once; the reformer's first."""
        return list(dict.fromkeys([self.reformer, *(one.architecture for one in self.rules)]))

    @property
    def target(self) -> float:
        """Largest expected share of unperturbed images that some detector rejects."""
        return sum(one.rate for one in self.rules)

    def to_dict(self) -> dict[str, Any]:
        """The recipe as plain JSON data."""
        return dataclasses.asdict(self)


RECIPES = {
    "mnist": Recipe("mnist", "I", (Rule("I", 0.001, p=2.0), Rule("II", 0.001, p=1.0)), 0.1),
    "cifar10": Recipe(
        "cifar10",
        "II",
        (
            Rule("II", 0.005, p=1.0),
            Rule("II", 0.01, temperature=10.0),
            Rule("II", 0.01, temperature=40.0),
        ),
        0.025,
    ),
}


def recipe_for(image_shape: Sequence[int], name: str | None = None) -> Recipe:
    """The recipe of the authors for images of a shape: `mnist` for one channel, else `cifar10`.

    Args:
      image_shape: (H, W, C).
      name: a key of RECIPES, in place of the choice by the channels.

    Raises:
      ConfigError: an unknown name.

    Example:
      >>> recipe_for((28, 28, 1)).target, recipe_for((32, 32, 3)).target
      (0.002, 0.025)
    """
    if name is not None:
        require_choice("recipe", name, RECIPES)
        return RECIPES[name]
    return RECIPES["mnist" if image_shape[-1] == 1 else "cifar10"]
