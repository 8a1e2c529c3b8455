"""Attacks as columns of a table: fitted to each classifier first, or the same for all of them."""

from typing import Any

import numpy as np

from mmtf.attacks.base import Attack
from mmtf.attacks.transfer import Transfer
from mmtf.classifiers.classifier import Classifier, as_classifier
from mmtf.data.dataset import Dataset
from mmtf.registry import source_of
from mmtf.threat import ThreatModel


class FittedAttack:
    """A column of a table whose attack is fitted, on training images, to every classifier.

    Attributes:
      threat: the ball and the box of the attacks.
      uses_training_data: whether the training split decides what is fitted.
    """

    threat: ThreatModel
    uses_training_data = True

    def supports(self, classifier: Classifier, x: np.ndarray) -> None:
        """Raises ConfigError where the attack is not defined for this classifier.

        Args:
          classifier: any.
          x: an image or more, float32 [N, H, W, C].
        """

    def is_kept(self, classifier: Classifier, dataset: Dataset) -> bool:
        """Whether `fit` would find the attack where an earlier call has kept it."""
        return False

    def kept_seconds(self, classifier: Classifier, dataset: Dataset) -> float:
        """Of the fitting that a kept attack spares `fit`; 0 where none is kept."""
        return 0.0

    def fit(self, classifier: Classifier, dataset: Dataset) -> Attack:
        """The attack on `classifier`, from the training split."""
        raise NotImplementedError(f"{type(self).__name__} must define fit.")

    def identity(self) -> str:
        """What decides the column's images, besides classifier, images and seed."""
        return repr(self) + source_of(type(self))


class ComputedAttack(FittedAttack):
    """A column with one attack for all classifiers: nothing is fitted."""

    uses_training_data = False

    def __init__(self, attack: Attack):
        self.threat = attack.threat
        self.attack = attack

    def supports(self, classifier: Classifier, x: np.ndarray) -> None:
        """As the attack has it."""
        if hasattr(self.attack, "refuse_few_classes"):
            self.attack.refuse_few_classes(classifier, x)

    def fit(self, classifier: Classifier, dataset: Dataset) -> Attack:
        """The attack itself."""
        return self.attack

    def identity(self) -> str:
        """The attack's arguments, and the weights of a classifier that it is transferred from."""
        if isinstance(self.attack, Transfer):
            source = as_classifier(self.attack.source).fingerprint
            inner = self.attack.attack
            return f"Transfer({source}, {inner!r})" + source_of(type(inner))
        return repr(self.attack) + source_of(type(self.attack))

    def __repr__(self) -> str:
        return f"ComputedAttack({self.attack!r})"


def as_fitted(attack: Any) -> FittedAttack:
    """The column of an attack; a FittedAttack is one."""
    return attack if isinstance(attack, FittedAttack) else ComputedAttack(attack)
