"""A pack of guarded classifiers, of which one is drawn for each image (MagNet's gray box)."""

from collections.abc import MutableMapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from mmtf.attacks.base import Attack
from mmtf.classifiers.classifier import Classifier
from mmtf.classifiers.fingerprint import subclass_parts
from mmtf.classifiers.guarded import Guarded
from mmtf.errors import require
from mmtf.evaluation.results import Result
from mmtf.evaluation.runner import perturb
from mmtf.evaluation.verdict import accepted, misclassified
from mmtf.storage.digest import sha256
from mmtf.training.progress import Display


class Pack(Guarded):
    """All members of a pack at once, as an attacker of the pack sees them.

    The logits are the means over the members' reformers, and an image is accepted only where every
    member accepts it. The margin is convex in the logits, so that of the mean is at most the mean
    of the members' margins: raising it raises the sum that Carlini & Wagner (2017) maximize. A
    defender draws one member for each image: `judged`.

    Args:
      members: guarded classifiers of the same classifier, at least one.
      name: in tables and messages.
    """

    def __init__(self, members: Sequence[Guarded], name: str = "pack"):
        require(len(members) > 0, "at least one member", members)
        base = members[0].base
        same = all(one.base.model is base.model for one in members)
        require(same, "members of one classifier", [one.base for one in members])
        rules = [rule for one in members for rule in one.detectors]
        super().__init__(base, detectors=rules, name=name)
        self.members = tuple(members)

    def __call__(self, x: Any, training: bool = False) -> tf.Tensor:
        """Returns the members' mean logits [N, classes], for images in [-1, 1]."""
        many = tf.concat([one.reformed(x) for one in self.members], 0)
        logits = self.base(many, training=training)
        count, classes = len(self.members), logits.shape[-1]
        return tf.reduce_mean(tf.reshape(logits, [count, -1, classes]), 0)

    def at(self, precision: str | None) -> Classifier:
        """Returns this classifier in another precision; the same object on every call."""
        if precision not in self._siblings:
            members = [one.at(precision) for one in self.members]
            other = Pack([one for one in members if isinstance(one, Guarded)], self.name)
            other._siblings = self._siblings
            self._siblings[precision] = other
        return self._siblings[precision]

    @property
    def fingerprint(self) -> str:
        """Hash of the members' fingerprints."""
        return sha256(*(one.fingerprint for one in self.members), *subclass_parts(self))


def judged(
    pack: Pack,
    attack: Attack,
    x: np.ndarray,
    y: np.ndarray,
    *,
    name: str,
    seed: int = 0,
    batch_size: int | None = None,
    kept: MutableMapping[int, np.ndarray] | None = None,
    progress: Display | None = None,
) -> Result:
    """Attacks a pack that draws a member for each image after the attack.

    Args:
      pack: the defender's.
      attack: one that does not see the draw, such as a transfer from the attacker's own pack.
      x, y: images in the box and labels.
      name: the attack's name in the result.
      seed: of the draw, and of the attack's random starts.
      batch_size, kept, progress: see `mmtf.evaluation.perturb`.

    Raises:
      BrokenConstraint: an adversarial image lies outside the ball or the box, or holds NaN.
    """
    given: dict[str, Any] = {"seed": seed, "batch_size": batch_size}
    z = perturb(pack, attack, x, y, **given, kept=kept, progress=progress)
    wrong = np.stack([misclassified(one, z, y, batch_size) for one in pack.members])
    passed = np.ones_like(wrong)
    for number, one in enumerate(pack.members):
        found = accepted(one, z, batch_size)
        passed[number] = True if found is None else found
    drawn = np.random.default_rng(seed).integers(len(pack.members), size=len(y)), np.arange(len(y))
    return Result(name, wrong[drawn], accepted=passed[drawn], defense=pack.name)
