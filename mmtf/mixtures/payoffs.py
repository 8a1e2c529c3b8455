"""Errors of defenses under frozen attacks, image by image, in a table that grows."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mmtf.attacks.base import Attack
from mmtf.classifiers.classifier import Classifier, as_classifier
from mmtf.errors import require
from mmtf.evaluation.runner import perturb
from mmtf.evaluation.verdict import misclassified
from mmtf.mixtures.frozen import require_frozen


@dataclasses.dataclass(frozen=True, eq=False)
class Payoffs:
    """Measured errors.

    Attributes:
      defenses, attacks: names of the rows and columns.
      wrong: bool [D, A, N], whether the defense misclassifies the image under the attack.
      clean: bool [D, N], whether it misclassifies the image without an attack.
    """

    defenses: tuple[str, ...]
    attacks: tuple[str, ...]
    wrong: np.ndarray
    clean: np.ndarray

    @property
    def matrix(self) -> np.ndarray:
        """E, float64 [D, A]: the error of each defense under each attack."""
        return self.wrong.mean(-1)

    @property
    def clean_errors(self) -> np.ndarray:
        """float64 [D]."""
        return self.clean.mean(-1)


class PayoffTable:
    """Measures defenses under frozen attacks on fixed images; nothing is measured twice.

    An attack that does not look at the classifier in the row gives the same adversarial examples
    in all rows: they are computed once and kept.

    Args:
      x: images, float32 [N, H, W, C].
      y: int [N], labels.
      seed: for the random starts of attacks frozen on stored nets.
    """

    def __init__(self, x: np.ndarray, y: np.ndarray, *, seed: int = 0):
        self.x, self.y, self._seed = np.asarray(x, np.float32), np.asarray(y, np.int32), seed
        self.defenses: dict[str, Classifier] = {}
        self.attacks: dict[str, Attack] = {}
        self._images: dict[str, np.ndarray] = {}
        self._wrong: dict[tuple[str, str | None], np.ndarray] = {}

    def add(
        self, defenses: Mapping[str, Any] | None = None, attacks: Mapping[str, Any] | None = None
    ) -> None:
        """Adds rows and columns by name.

        Raises:
          ConfigError: a name is taken by another one, or an attack is not a function of (x, y).
        """
        for name, one in (defenses or {}).items():
            made = as_classifier(one)
            taken = self.defenses.get(name, made) is not made
            require(not taken, "defenses of different names", name)
            self.defenses[name] = made
        for name, attack in (attacks or {}).items():
            require_frozen(name, attack)
            require(self.attacks.get(name, attack) is attack, "attacks of different names", name)
            self.attacks[name] = attack

    def wrong(self, defense: str, attack: str | None) -> np.ndarray:
        """bool [N]: whether the defense misclassifies each image under the attack; None: clean."""
        key = (defense, attack)
        if key not in self._wrong:
            z = self.x if attack is None else self.images(attack)
            self._wrong[key] = misclassified(self.defenses[defense], z, self.y)
        return self._wrong[key]

    def images(self, attack: str) -> np.ndarray:
        """float32 [N, H, W, C], the attack's images, which lie in its ball and in the box."""
        if attack not in self._images:
            any_net = next(iter(self.defenses.values()))  # a frozen attack does not look at it
            found = perturb(any_net, self.attacks[attack], self.x, self.y, seed=self._seed)
            self._images[attack] = found
        return self._images[attack]

    def error(self, defense: str, attack: str) -> float:
        """The share of misclassified images."""
        return float(self.wrong(defense, attack).mean())

    def payoffs(
        self, defenses: Sequence[str] | None = None, attacks: Sequence[str] | None = None
    ) -> Payoffs:
        """The errors of these rows and columns; None: of all."""
        rows = tuple(self.defenses if defenses is None else defenses)
        columns = tuple(self.attacks if attacks is None else attacks)
        wrong = np.array([[self.wrong(row, column) for column in columns] for row in rows])
        return Payoffs(rows, columns, wrong, np.array([self.wrong(row, None) for row in rows]))
