"""What an attack wants of an image: any wrong class, or one class in particular."""

import numbers

import tensorflow as tf

from mmtf import losses
from mmtf.attacks.base import Attack, choose, compiled, judge
from mmtf.attacks.losses import AIMED_LOSSES, LOSSES
from mmtf.attacks.restarts import classifier_classes, wrong_classes
from mmtf.errors import require

TARGETS = "target None, 'least_likely', 'random' or a class >= 0"
# Keeps the draw of random targets apart from the draw of random starts.
TARGET_STREAM = 1 << 20


class Goal:
    """Untargeted: raise l(z, y) until z is not taken for y. Targeted: lower l(z, t) until it is t.

    Both are written with one label per example, y or t: `labels` gives it, `loss` has the sign
    with which it is raised, `reached` judges a prediction by it.

    Args:
      target: None: untargeted. `least_likely`: the wrong class with the smallest logit at the
        clean image. `random`: one of the wrong classes, by the attack's seed. A class: this one;
        an example whose own class it is has no such goal and keeps its clean image.

    Source: Kurakin et al. (2017), section 2.3, for the least likely class.
    """

    def __init__(self, target=None):
        is_class = isinstance(target, numbers.Integral) and not isinstance(target, bool)
        known = target in (None, "least_likely", "random") or (is_class and target >= 0)
        require(known, TARGETS, target)
        self.target = target
        self.targeted = target is not None

    def __eq__(self, other):
        return isinstance(other, Goal) and other.target == self.target

    def __hash__(self):
        return hash(self.target)

    def labels(self, classifier, x, y, seed):
        """int [N]: y, or each example's target class.

        Raises:
          ConfigError: the target is none of the classifier's classes.
        """
        if not self.targeted:
            return y
        y = tf.convert_to_tensor(y)
        if self.target == "least_likely":
            return tf.cast(_ranked(classifier, x, y)[:, -1], y.dtype)
        classes = classifier_classes(classifier, x)
        require(classes > 1, "a classifier of at least 2 classes", classes)
        if self.target == "random":
            own = tf.random.experimental.stateless_fold_in(
                tf.convert_to_tensor(seed), TARGET_STREAM
            )
            ahead = tf.random.stateless_uniform(tf.shape(y), own, 1, classes, tf.int32)
            return (y + tf.cast(ahead, y.dtype)) % classes
        require(
            self.target < classes, f"a target below {classes}, the number of classes", self.target
        )
        return tf.fill(tf.shape(y), tf.cast(self.target, y.dtype))

    def loss(self, name: str):
        """What is raised, by its name in `mmtf.attacks.losses`: (logits, labels) -> [N].

        The targeted margin, z_t - max_{i != t} z_i, is minus Carlini & Wagner's (2017) f_6.
        """
        return (AIMED_LOSSES if self.targeted else LOSSES)[name]

    def reached(self, logits, labels):
        """bool [N]: misclassified, or taken for the target. NaN logits count as misclassified."""
        return (losses.errors(logits, labels) > 0) != self.targeted

    def judge(self, classifier):
        """`reached` of this classifier, compiled: (z, labels) -> bool [N]."""
        wrong = judge(classifier)
        return lambda z, labels: (wrong(z, labels) > 0) != self.targeted

    def reached_at(self, classifier, z, labels):
        """`reached`, not compiled."""
        return self.reached(classifier(z, training=False), labels)

    def keep_idle(self, z, x, y, labels):
        """z, and x where the target is the example's own class."""
        if isinstance(self.target, numbers.Integral):
            return choose(tf.convert_to_tensor(y) == labels, x, z)
        return z


class AimedAttack(Attack):
    """An attack that takes a `target`; a subclass says in `pursue` how its goal is pursued.

    Args:
      threat: the ball and the box.
      target: see `Goal`.
    """

    def __init__(self, threat, *, target=None):
        super().__init__(threat)
        self.goal = Goal(target)
        self.target = target
        self.deterministic = type(self).deterministic and target != "random"

    def __call__(self, classifier, x, y, *, seed=(0, 0)):
        labels = self.goal.labels(classifier, x, y, seed)
        return self.goal.keep_idle(self.pursue(classifier, x, labels, seed), x, y, labels)

    def pursue(self, classifier, x, labels, seed):
        """The perturbed images; `labels` [N] are those of `Goal`."""
        raise NotImplementedError(f"{type(self).__name__} must define pursue.")


def _ranked(classifier, x, y):
    if tf.executing_eagerly():
        return compiled(classifier, "wrong classes by rank", wrong_classes)(x, y)
    return wrong_classes(classifier, x, y)
