"""AutoAttack: the standard ensemble of parameter-free attacks (Croce & Hein 2020a)."""

import dataclasses
from typing import Any

import tensorflow as tf
from tensorflow import Tensor

from mmtf.attacks import loop
from mmtf.attacks.apgd import APGD, APGDTargeted
from mmtf.attacks.base import Attack
from mmtf.attacks.criteria import count_classes
from mmtf.attacks.fab import FAB
from mmtf.attacks.queries import where_per_example
from mmtf.attacks.square import Square
from mmtf.classifiers.classifier import Classifier
from mmtf.errors import require_int

# Names of the parts, as in --attacks.
NAMES = ("apgd", "apgd_targeted", "fab", "square")


@dataclasses.dataclass(eq=False, repr=False, kw_only=True)
class AutoAttack(Attack):
    """Runs APGD on the cross-entropy, APGD-T, FAB-T and Square one after the other.

    Each attack runs on the examples not yet successfully attacked, so that the error is the
    per-example worst case over the four. With 2 classes APGD-T, which needs at least 3, is left
    out; the other attacks then target the only wrong class.

    Args:
      threat: threat model.
      steps: steps of APGD, and of APGD-T and FAB-T for each target, > 0; 100 in `standard`.
      targets: number of target classes of APGD-T and FAB-T, > 0; 9 in `standard`.
      queries: queries of Square per example, > 0; 5,000 in `standard`. The squares shrink
        relative to all queries, as in the paper on Square. The authors' `standard` shrinks them
        relative to 10,000 queries and stops after half of those.

    Source: Croce & Hein (2020a), version `standard`.
    """

    deterministic = False
    compiles_itself = True
    steps: int = 100
    targets: int = 9
    queries: int = 5000

    def __post_init__(self) -> None:
        super().__post_init__()
        require_int("queries", self.queries)
        given: dict[str, Any] = {"steps": self.steps, "targets": self.targets}
        self.parts = (
            APGD(self.threat, steps=self.steps),
            APGDTargeted(self.threat, **given),
            FAB(self.threat, **given),
            Square(self.threat, steps=self.queries),
        )

    @property
    def iterations(self) -> None:
        """Unknown: the parts have their own."""
        return None

    def passes(self, classes: int) -> float:
        return sum(part.passes(classes) for _, part in self._parts_for(classes))

    def _parts_for(self, classes):
        """Yields (number, part) of the parts that run."""
        for number, part in enumerate(self.parts):
            if classes > 2 or not isinstance(part, APGDTargeted):
                yield number, part

    def run(self, classifier: Classifier, x: Tensor, labels: Tensor, seed: Tensor) -> Tensor:
        classes, z = count_classes(classifier, x), x
        clean = self.succeeds(classifier, x, labels)
        begun, total = 0.0, self.passes(classes)
        for number, part in self._parts_for(classes):
            share = part.passes(classes) / total
            own = tf.random.experimental.stateless_fold_in(seed, number)
            done, theirs = self.succeeds(classifier, z, labels), labels
            if tf.executing_eagerly():
                if tf.reduce_all(done):
                    break
                # The batch keeps its size, because random starts depend on an example's position.
                # Examples already successfully attacked get another label, under which the clean
                # image counts as misclassified, so that the next attack drops them at once.
                theirs = tf.where(done & ~clean, (labels + 1) % classes, labels)
            with loop.part(NAMES[number], begun, share):
                z = where_per_example(done, z, part(classifier, x, theirs, seed=own))
            begun += share
        return z
