"""Attacks that are fitted on training images to each classifier before they are measured."""

from mmtf.attacks.base import Attack
from mmtf.data.dataset import Dataset
from mmtf.threat import ThreatModel


class FittedAttack:
    """A column of a table that is another attack for every classifier.

    Attributes:
      threat: the ball and the box of the attacks.
    """

    threat: ThreatModel

    def is_kept(self, classifier, dataset: Dataset) -> bool:
        """Whether `fit` would find the attack where an earlier call has kept it."""
        return False

    def fit(self, classifier, dataset: Dataset) -> Attack:
        """The attack on `classifier`, from the training split."""
        raise NotImplementedError(f"{type(self).__name__} must define fit.")
