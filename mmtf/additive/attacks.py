"""The attacks on the additive game's defenses, with and without the box of the pixels."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from mmtf.additive.defenses import Defense, Shifted
from mmtf.additive.linearized import Linearized
from mmtf.attacks import loop
from mmtf.attacks.autoattack import AutoAttack
from mmtf.attacks.base import Attack
from mmtf.attacks.iterated import PGD
from mmtf.classifiers.classifier import Classifier
from mmtf.errors import require, require_choice
from mmtf.threat import ThreatModel

# Attack -> whether it is crafted anew against each defense.
ADAPTS = {"none": False, "fgm": False, "pgd": False, "pgd_adapted": True, "autoattack": True}
# AutoAttack's parts search within the box.
BOX_ONLY = ("autoattack",)
BOXES = (False, True)


class WholePGD(PGD):
    """PGD on the margin that never stops early, with a program of one step."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.compiles_itself = True


def ball(eta: float, box: bool) -> ThreatModel:
    """The l2 ball of the attacker, with the box [-1, 1] or, without, one that is never reached."""
    reach = 1.0 if box else 1.0 + 2 * eta
    return ThreatModel(eta=eta, norm="l2", box=(-reach, reach))


def fgm(images: Linearized, eta: float) -> np.ndarray:
    """-eta w, the dominant attack of the approximate game, float32 [n, H, W, C]; without a box."""
    return np.float32(-eta) * images.directions


class Attacker:
    """Crafts the attacks of a radius on a set of images.

    Args:
      classifier: f, of two classes.
      x: float32 [n, H, W, C].
      images: f linearized there.
      eta: the attacker's radius.
      seed: of random starts.
      steps: of PGD.
      draws: of a random defense, in the mean that adapted attacks see.
      queries: of Square in AutoAttack.
      strongest: number of the first images that AutoAttack gets.
    """

    def __init__(
        self,
        classifier: Classifier,
        x: np.ndarray,
        images: Linearized,
        eta: float,
        *,
        seed: int = 0,
        steps: int = 40,
        draws: int = 4,
        queries: int = 1000,
        strongest: int = 200,
    ):
        self.classifier, self.x, self.images, self.eta = classifier, x, images, eta
        self.seed, self.steps, self.draws = seed, steps, draws
        self.queries, self.strongest = queries, strongest
        self.labels = (images.signs > 0).astype(np.int32)
        self._kept: dict[tuple, np.ndarray] = {}

    def perturbation(self, attack: str, defense: Defense, *, box: bool) -> np.ndarray:
        """v_a of the first images, float32 [m, H, W, C]; m = n, or `strongest` for AutoAttack.

        `fgm` and `pgd` see the classifier without a defense; `pgd_adapted` sees the mean
        probability over draws of the defense, and `autoattack` the classifier with the defense's
        center.

        Args:
          attack: a name of `ADAPTS`.
          defense: the defense that it meets.
          box: whether x + v_a lies in the box [-1, 1].

        Raises:
          ConfigError: an unknown attack, or one that has the box, without it.
        """
        require_choice("attacks", attack, ADAPTS)
        require(box or attack not in BOX_ONLY, f"{attack} with the box", "without")
        adapts = ADAPTS[attack]
        if attack == "autoattack":  # the same for all defenses of one center
            key: tuple = (attack, defense.center.tobytes(), box)
        else:
            key = (attack, defense.name if adapts else "", box)
        if key not in self._kept:
            self._kept[key] = self._craft(attack, defense, box)
        return self._kept[key]

    def _craft(self, attack, defense, box):
        threat = ball(self.eta, box)
        if attack == "none":
            return np.zeros_like(self.x)
        if attack == "fgm":
            v = fgm(self.images, self.eta)
            return threat.project(self.x + v, self.x).numpy() - self.x if box else v
        if attack == "autoattack":
            seen = self.classifier
            if defense.center.any():
                seen = Shifted(self.classifier, defense.center[None], defense.name)
            return self._run(AutoAttack(threat, queries=self.queries), seen, self.strongest)
        if attack == "pgd_adapted" and defense.name == "none":
            return self.perturbation("pgd", defense, box=box)
        seen = defense.seen(self.classifier, self.draws) if attack != "pgd" else self.classifier
        made = WholePGD(threat, steps=self.steps, decay="linear", loss="margin", stop_early=False)
        return self._run(made, seen, len(self.x))

    def _run(self, attack: Attack, seen: Callable, count: int) -> np.ndarray:
        x, y = self.x[:count], self.labels[:count]
        found = loop.run(attack, seen, tf.constant(x), tf.constant(y), (self.seed, 0)).numpy()
        outside = attack.threat.violations(found, x)
        require(not outside.any(), f"perturbations of {attack} in the ball", int(outside.sum()))
        return found - x
