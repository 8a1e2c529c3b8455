"""Expectation over transformation: randomized defenses attacked as what they are on average."""

import math
from typing import Any

import tensorflow as tf
from tensorflow import Tensor

from mmtf.attacks import loop
from mmtf.attacks.base import Attack
from mmtf.classifiers.classifier import Classifier, as_classifier
from mmtf.errors import require

# Where a Classifier keeps its means.
KEPT = "__mmtf_means__"


class ExpectationOverTransformation(Attack):
    """`attack` on E_t[f(x; t)], the mean over the draws t that a defense makes in its call.

    The gradient on a single draw leads to errors of that draw, and the next call makes another.
    Here every call is `samples` calls, f their mean probabilities: the attack sees
    log(mean softmax) as logits, whose cross-entropy is -log E[p_y]. A defense is still judged by
    single draws, so that an attack must not stop where the mean is just misclassified: half of the
    draws would be right there. The seed fixes the attack's draws, not the defense's.
    Costs `samples` times the attack, in time and memory.

    Args:
      attack: any that goes on beyond the boundary (`stop_early=False` where it has the choice);
        its threat model is this attack's.
      samples: calls averaged, > 0.

    Raises:
      ConfigError: an attack that stops early, or samples <= 0.

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
        super().__init__(attack.threat)
        self.attack = attack
        self.samples = samples
        self.deterministic = attack.deterministic

    def supports(self, classifier: Any, x: Any) -> None:
        self.attack.supports(classifier, x)

    def run(self, classifier: Classifier, x: Tensor, labels: Tensor, seed: Tensor) -> Tensor:
        return loop.run(self.attack, mean_of(classifier, self.samples), x, labels, seed)


def mean_of(classifier: Any, samples: int) -> Classifier:
    """log(mean softmax) over `samples` calls of a classifier, as a Classifier.

    One and the same as long as the classifier lives, so that what attacks compile for it is found
    again for every batch.

    Args:
      classifier: a Classifier, a Keras model or a function.
      samples: > 0.
    """
    classifier = as_classifier(classifier)
    kept = vars(classifier).setdefault(KEPT, {})
    if samples not in kept:

        def mean(x, training=False):
            # Calls of their own, not one large batch: a defense may draw once for a whole batch.
            draws = [classifier(x, training=training) for _ in range(samples)]
            logs = tf.nn.log_softmax(tf.cast(tf.stack(draws), tf.float32))
            return tf.reduce_logsumexp(logs, 0) - math.log(samples)

        kept[samples] = Classifier(mean, name=f"mean of {samples} x {classifier.name}")
    return kept[samples]
