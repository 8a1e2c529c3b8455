"""AutoAttack: the standard ensemble of parameter-free attacks (Croce & Hein 2020a)."""

import dataclasses

import tensorflow as tf
from tensorflow import Tensor

from mmtf.attacks.apgd import APGD, APGDTargeted
from mmtf.attacks.base import Attack, where_per_example
from mmtf.attacks.criteria import count_classes
from mmtf.attacks.fab import FAB
from mmtf.attacks.square import Square
from mmtf.classifiers.classifier import Classifier


@dataclasses.dataclass(eq=False, repr=False, kw_only=True)
class AutoAttack(Attack):
    """APGD on the cross-entropy, APGD-T, FAB-T and Square, one after the other.

    Each runs on the examples not yet successfully attacked, so that the error is the per-example
    worst case over the four. With 2 classes APGD-T, which needs 3, is left out: the only other
    class is the target of the rest.

    Args:
      threat: the ball and the box.
      steps: of the first three, for each target, > 0; 100 in the standard.
      targets: of APGD-T and FAB-T, > 0; 9 in the standard.
      queries: of Square, > 0; 5,000 in the standard. Its squares shrink as in its paper, relative
        to all queries; in the authors' `standard` relative to 10,000, of which it makes half.

    Source: Croce & Hein (2020a), the version `standard`.
    """

    deterministic = False
    compiles_itself = True
    steps: int = 100
    targets: int = 9
    queries: int = 5000

    def __post_init__(self) -> None:
        super().__post_init__()
        given = {"steps": self.steps, "targets": self.targets}
        self.parts = (
            APGD(self.threat, steps=self.steps),
            APGDTargeted(self.threat, **given),
            FAB(self.threat, **given),
            Square(self.threat, steps=self.queries),
        )

    def run(self, classifier: Classifier, x: Tensor, labels: Tensor, seed: Tensor) -> Tensor:
        classes, z = count_classes(classifier, x), x
        clean = self.succeeds(classifier, x, labels)
        for number, part in enumerate(self.parts):
            if classes < 3 and isinstance(part, APGDTargeted):
                continue
            own = tf.random.experimental.stateless_fold_in(seed, number)
            done, theirs = self.succeeds(classifier, z, labels), labels
            if tf.executing_eagerly():
                if tf.reduce_all(done):
                    break
                # Under another label the examples done are misclassified as they are: the part
                # drops them at once, and the places of the others, which decide their random
                # starts, stay.
                theirs = tf.where(done & ~clean, (labels + 1) % classes, labels)
            z = where_per_example(done, z, part(classifier, x, theirs, seed=own))
        return z
