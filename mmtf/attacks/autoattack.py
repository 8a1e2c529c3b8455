"""AutoAttack: the standard ensemble of parameter-free attacks (Croce & Hein 2020a)."""

import tensorflow as tf

from mmtf.attacks.apgd import APGD
from mmtf.attacks.apgd_targeted import APGDTargeted
from mmtf.attacks.base import Attack, choose, errors_at, judge
from mmtf.attacks.fab import FAB
from mmtf.attacks.restarts import classifier_classes
from mmtf.attacks.square import Square


class AutoAttack(Attack):
    """APGD on the cross-entropy, APGD-T, FAB-T and Square, each on the examples still standing.

    The per-example worst case over the four: its error is at least that of each of them. With 2
    classes APGD-T, which needs 3, is left out: the one other class is what the rest go for.

    Args:
      threat: the ball and the box.
      steps: of the first three, for each target, > 0; 100 in the standard.
      targets: of APGD-T and FAB-T, > 0; 9 in the standard.
      queries: of Square, > 0; 5,000 in the standard. Its squares shrink as its paper has it, by
        their share of all queries; the authors' `standard` by 10,000, of which it makes half.

    Source: Croce & Hein (2020a), the version `standard`.
    """

    deterministic = False
    compiles_itself = True

    def __init__(self, threat, *, steps=100, targets=9, queries=5000):
        super().__init__(threat)
        self.steps = steps
        self.targets = targets
        self.queries = queries
        self.parts = (
            APGD(threat, steps=steps),
            APGDTargeted(threat, steps=steps, targets=targets),
            FAB(threat, steps=steps, targets=targets),
            Square(threat, steps=queries),
        )

    def __call__(self, classifier, x, y, *, seed=(0, 0)):
        x, y, seed = tf.convert_to_tensor(x), tf.convert_to_tensor(y), tf.convert_to_tensor(seed)
        classes, z = classifier_classes(classifier, x), x
        parts = [
            (part, tf.random.experimental.stateless_fold_in(seed, i))
            for i, part in enumerate(self.parts)
            if classes > 2 or not isinstance(part, APGDTargeted)
        ]
        if not tf.executing_eagerly():
            return self._in_graph(classifier, x, y, parts)
        wrong = judge(classifier)
        unmoved = wrong(x, y) > 0
        for part, own in parts:
            broken = wrong(z, y) > 0
            if tf.reduce_all(broken):
                break
            # Under another label the fallen are misclassified where they stand: the part leaves
            # them out at once, and the places of the others, which decide their starts, stay.
            labels = tf.where(broken & ~unmoved, (y + 1) % classes, y)
            z = choose(broken, z, part(classifier, x, labels, seed=own))
        return z

    def _in_graph(self, classifier, x, y, parts):
        z = x
        for part, own in parts:
            broken = errors_at(classifier, z, y) > 0
            again = part(classifier, x, y, seed=own)
            z = choose(broken, z, again)
        return z
