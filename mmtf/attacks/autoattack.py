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

    The per-example worst case over the four: its error is at least that of each of them.

    Args:
      threat: the ball and the box.
      steps: of the first three, for each target, > 0; 100 in the standard.
      targets: of APGD-T and FAB-T, > 0; 9 in the standard.
      queries: of Square, > 0; 5,000 in the standard.

    Source: Croce & Hein (2020a), the version `standard`. Needs 3 classes.
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

    def refuse_few_classes(self, classifier, x):
        """Raises ConfigError where `classifier` has too few classes for its parts."""
        self.parts[1].refuse_few_classes(classifier, x)

    def __call__(self, classifier, x, y, *, seed=(0, 0)):
        self.refuse_few_classes(classifier, x)
        x, y, seed = tf.convert_to_tensor(x), tf.convert_to_tensor(y), tf.convert_to_tensor(seed)
        seeds = [tf.random.experimental.stateless_fold_in(seed, i) for i in range(len(self.parts))]
        if not tf.executing_eagerly():
            return self._in_graph(classifier, x, y, seeds)
        wrong = judge(classifier)
        classes, z = classifier_classes(classifier, x), x
        unmoved = wrong(x, y) > 0
        for part, own in zip(self.parts, seeds, strict=True):
            broken = wrong(z, y) > 0
            if tf.reduce_all(broken):
                break
            # Under another label the fallen are misclassified where they stand: the part leaves
            # them out at once, and the places of the others, which decide their starts, stay.
            labels = tf.where(broken & ~unmoved, (y + 1) % classes, y)
            z = choose(broken, z, part(classifier, x, labels, seed=own))
        return z

    def _in_graph(self, classifier, x, y, seeds):
        z = x
        for part, own in zip(self.parts, seeds, strict=True):
            broken = errors_at(classifier, z, y) > 0
            again = part(classifier, x, y, seed=own)
            z = choose(broken, z, again)
        return z
