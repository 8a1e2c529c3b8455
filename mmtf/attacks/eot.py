"""Expectation over transformation: randomized defenses attacked as what they are on average."""

import math
import weakref

import tensorflow as tf

from mmtf.attacks.base import Attack, run
from mmtf.errors import require

_MEANS = weakref.WeakKeyDictionary()


class ExpectationOverTransformation(Attack):
    """`attack` on E_t[f(x; t)], the mean over the draws t that a defense makes in its call.

    The gradient on a single draw points where that draw errs, another one on the next call. Here
    every call is `samples` calls, f their mean probabilities: the attack sees log(mean softmax) as
    logits, whose cross-entropy is -log E[p_y]. A verdict on the defense is still one of single
    draws, so that an attack must not stop where the mean is just wrong: half of the draws would be
    right there. The seed fixes the attack's draws, not the defense's.
    Costs `samples` times the attack, in time and memory.

    Args:
      attack: any that goes on behind the boundary (`stop_early=False` where it has the choice); its
        threat model is this attack's.
      samples: calls averaged, > 0.

    Source: Athalye, Carlini & Wagner (2018), section 4.2: grad E f(t(x)) = E grad f(t(x)).
    """

    compiles_itself = True

    def __init__(self, attack: Attack, *, samples: int):
        require(samples > 0, "samples > 0", samples)
        require(
            not getattr(attack, "stop_early", False),
            "an attack that goes on where the mean of the draws is just wrong, stop_early=False",
            attack,
        )
        self.norms = attack.norms
        super().__init__(attack.threat)
        self.attack = attack
        self.samples = samples
        self.deterministic = attack.deterministic

    def __call__(self, classifier, x, y, *, seed=(0, 0)):
        return run(self.attack, mean_of(classifier, self.samples), x, y, seed)


class MeanClassifier:
    """log(mean softmax) over `samples` calls of a classifier, which it does not keep alive."""

    def __init__(self, classifier, samples: int):
        self._classifier = weakref.ref(classifier)
        self._samples = samples

    @property
    def classifier(self):
        """What it averages, by which it is known in which type it computes."""
        return self._classifier()

    def __call__(self, x, training=False):
        classifier = self.classifier
        # Calls of their own, not one large batch: a defense may draw once for a whole batch.
        draws = [classifier(x, training=training) for _ in range(self._samples)]
        logs = tf.nn.log_softmax(tf.cast(tf.stack(draws), tf.float32))
        return tf.reduce_logsumexp(logs, 0) - math.log(self._samples)


def mean_of(classifier, samples: int) -> MeanClassifier:
    """The classifier's mean, one and the same as long as the classifier lives.

    Attacks keep their compiled steps with the classifier that they attack: a new mean for every
    block of images would be compiled anew.
    """
    kept = _MEANS.setdefault(classifier, {})
    if samples not in kept:
        kept[samples] = MeanClassifier(classifier, samples)
    return kept[samples]
