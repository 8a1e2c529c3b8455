"""APGD on the targeted DLR loss (Croce & Hein 2020a): APGD-T of AutoAttack."""

import tensorflow as tf

from mmtf.attacks.apgd import APGD
from mmtf.attacks.base import choose, compiled, errors_at
from mmtf.attacks.losses import refuse_few_classes, targeted_dlr
from mmtf.attacks.restarts import classifier_classes, restarted, seed_of, wrong_classes
from mmtf.errors import require


class APGDTargeted(APGD):
    """APGD on the targeted DLR loss, for each of the most likely wrong classes in turn (APGD-T).

    Args:
      threat: the ball and the box.
      steps: for each target, > 0.
      targets: how many wrong classes, by their logits at the clean image, > 0; at most all.
      rho: as in APGD.

    Source: Croce & Hein (2020a), section 4; 9 targets in AutoAttack.
    """

    def __init__(self, threat, *, steps=100, targets=9, rho=0.75):
        super().__init__(threat, steps=steps, rho=rho)
        require(targets > 0, "targets > 0", targets)
        self.targets = targets

    def losses(self, logits, labels, targets):
        return targeted_dlr(logits, labels, targets)

    def refuse_few_classes(self, classifier, x):
        refuse_few_classes(
            lambda logits, labels: targeted_dlr(logits, labels, labels),
            classifier_classes(classifier, x),
        )

    def pursue(self, classifier, x, labels, seed):
        self.refuse_few_classes(classifier, x)
        x, y = tf.convert_to_tensor(x), tf.convert_to_tensor(labels)
        seed = tf.convert_to_tensor(seed)
        if not tf.executing_eagerly():
            return self._in_graph(classifier, x, y, seed)
        rank = compiled(classifier, "wrong classes by rank", wrong_classes)
        count = min(self.targets, classifier_classes(classifier, x) - 1)

        def attempt(x, y, number, start):
            return self._climb_and_leave(classifier, x, y, rank(x, y)[:, number], start)

        return restarted(self.goal.judge(classifier), x, y, seed, count, self.start, attempt)

    def _in_graph(self, classifier, x, y, seed):
        order = wrong_classes(classifier, x, y)
        z, broken = x, errors_at(classifier, x, y) > 0
        for number in range(min(self.targets, order.shape[1])):
            start = self.start(x, seed_of(seed, number))
            after = self._climb(classifier, x, y, order[:, number], start)
            z = choose(broken, z, after)
            broken |= errors_at(classifier, after, y) > 0
        return z
