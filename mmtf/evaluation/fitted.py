"""Attacks as columns of a table: fitted to each classifier, or the same for all classifiers."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mmtf.arguments import kept_arguments
from mmtf.attacks.base import Attack
from mmtf.attacks.transfer import Transfer
from mmtf.classifiers.classifier import Classifier, as_classifier
from mmtf.classifiers.fingerprint import parts_of
from mmtf.data.dataset import Dataset
from mmtf.errors import require
from mmtf.registry import source_of
from mmtf.storage.digest import sha256
from mmtf.threat import ThreatModel


class FittedAttack:
    """A column of a table whose attack is fitted to each classifier on training images.

    Attributes:
      threat: the ball and the box of the attacks.
      uses_training_data: whether the fitted attack depends on the training split.
      fitting_passes: estimated number of forward passes of an image that fitting takes, a gradient
        counting as two more; for the time left of an evaluation alone.
    """

    threat: ThreatModel
    uses_training_data = True
    fitting_passes = 0.0

    def supports(self, classifier: Classifier, x: np.ndarray) -> None:
        """Raises ConfigError if the attack does not apply to this classifier.

        Args:
          classifier: the classifier to be attacked.
          x: one or more images, float32 [N, H, W, C].
        """

    def is_kept(self, classifier: Classifier, dataset: Dataset) -> bool:
        """Whether `fit` would load the attack from a cache."""
        return False

    def kept_seconds(self, classifier: Classifier, dataset: Dataset) -> float:
        """Seconds of fitting that a cached attack saves `fit`; 0 if none is cached."""
        return 0.0

    def fit(self, classifier: Classifier, dataset: Dataset) -> Attack:
        """Returns the attack on `classifier`, fitted on the training split."""
        raise NotImplementedError(f"{type(self).__name__} must define fit.")

    def identity(self) -> str:
        """Cache key: what determines the attack's images besides classifier, images and seed."""
        return repr(self) + source_of(type(self))


class ComputedAttack(FittedAttack):
    """A column with the same attack for all classifiers; nothing is fitted."""

    uses_training_data = False

    def __init__(self, attack: Attack):
        self.threat = attack.threat
        self.attack = attack

    def supports(self, classifier: Classifier, x: np.ndarray) -> None:
        """Raises ConfigError if the attack does not apply to this classifier."""
        self.attack.supports(classifier, x)

    def fit(self, classifier: Classifier, dataset: Dataset) -> Attack:
        """Returns the attack itself."""
        return self.attack

    def identity(self) -> str:
        """The attack's arguments and source code, with those of an attack within it; weights and
        perturbations by their hash.
        """
        return _identity(self.attack)

    def __repr__(self) -> str:
        return f"ComputedAttack({self.attack!r})"


def as_fitted(attack: Any) -> FittedAttack:
    """Wraps an Attack as a column of a table; returns a FittedAttack unchanged.

    Raises:
      ConfigError: it is neither.
    """
    told = "an attack that is made, as mmtf.attacks.PGD(threat, steps=100)"
    require(isinstance(attack, Attack | FittedAttack), told, attack)
    return attack if isinstance(attack, FittedAttack) else ComputedAttack(attack)


def is_targeted(attack: Any) -> bool:
    """Whether an attack, or the one that it or a column of a table has within it, has a target."""
    if getattr(attack, "target", None) is not None:
        return True
    inner = getattr(attack, "attack", None)
    return inner is not None and is_targeted(inner)


def _identity(attack: Attack) -> str:
    if isinstance(attack, Transfer):
        source = as_classifier(attack.source).fingerprint
        return f"Transfer({source}, {_identity(attack.attack)})"
    told = repr(attack) + source_of(type(attack))
    for value in kept_arguments(attack).values():  # all of them are in its text
        # The text of a network or of a large array does not tell its values.
        if isinstance(value, keras.Layer):
            told += sha256(*parts_of(value))
        elif isinstance(value, np.ndarray | tf.Tensor | tf.Variable):
            told += sha256(np.asarray(value))
    inner = getattr(attack, "attack", None)
    return told + _identity(inner) if isinstance(inner, Attack) else told
