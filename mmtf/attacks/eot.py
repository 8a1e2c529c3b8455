"""Expectation over transformation: attacks the mean prediction of a randomized defense."""

import math
from typing import Any

import tensorflow as tf
from tensorflow import Tensor

from mmtf.attacks import loop
from mmtf.attacks.base import Attack
from mmtf.classifiers.classifier import Classifier, as_classifier
from mmtf.config import NORMS
from mmtf.errors import require, require_int
from mmtf.storage.digest import sha256

# Prefix of the attributes of a Classifier in which `mean_of` caches its results.
KEPT = "__mmtf_means__"


class ExpectationOverTransformation(Attack):
    """Runs `attack` on E_t[f(x; t)], the mean over the random draws t of a defense.

    A gradient of a single draw fools that draw only, and each call of the defense makes another.
    Here every query calls the classifier `samples` times, and the attack sees log(mean softmax)
    as logits; their cross-entropy is -log E[p_y]. The evaluation still uses single draws. The
    attack therefore has to continue after the mean is misclassified: right at that boundary about
    half of the draws are still correct. The seed determines the attack's random numbers, not the
    defense's. Time and memory are `samples` times those of `attack`.

    Args:
      attack: an attack that continues beyond the decision boundary, with `stop_early=False` if it
        has that argument. Its threat model is used.
      samples: number of calls averaged, > 0.

    Raises:
      ConfigError: `attack.stop_early` is True, or samples <= 0. Attacks without this argument
        (AutoAttack, FAB, DeepFool, Square) are accepted; they stop at the boundary of the mean and
        understate the error of single draws.

    Source: Athalye, Carlini & Wagner (2018), section 4.2: grad E f(t(x)) = E grad f(t(x)).
    """

    norms = NORMS
    compiles_itself = True

    def __init__(self, attack: Attack, *, samples: int):
        require_int("samples", samples)
        require(
            not getattr(attack, "stop_early", False),
            "an attack that continues once the mean is misclassified, stop_early=False",
            attack,
        )
        super().__init__(attack.threat)
        self.attack = attack
        self.samples = samples
        self.deterministic = attack.deterministic

    def supports(self, classifier: Any, x: Any) -> None:
        self.attack.supports(classifier, x)

    def passes(self, classes: int) -> float:
        return self.samples * self.attack.passes(classes)

    def aims_at(self, classifier: Any, x: Any, y: Any, seed: Any) -> Tensor | None:
        """See `Attack.aims_at`; `least_likely` of a randomized defense comes from other draws."""
        return self.attack.aims_at(mean_of(self._subject(classifier), self.samples), x, y, seed)

    def run(self, classifier: Classifier, x: Tensor, labels: Tensor, seed: Tensor) -> Tensor:
        return loop.run(self.attack, mean_of(classifier, self.samples), x, labels, seed)


class _Mean(Classifier):
    """The mean prediction log(mean softmax) over calls of a classifier, and its rules of rejection.

    The rejection is the mean over as many calls, too.

    Args:
      classifier: a Classifier.
      samples: number of calls averaged, > 0.
    """

    def __init__(self, classifier: Classifier, samples: int):
        super().__init__(classifier, name=f"mean of {samples} x {classifier.name}")
        self.rejects = classifier.rejects
        self.base, self.samples = classifier, samples

    def __call__(self, x: Any, training: bool = False) -> Tensor:
        """Returns log(mean softmax), float32 [N, classes], for images in [-1, 1]."""
        # Separate calls, not one large batch: a defense may draw once per batch.
        draws = [self.base(x, training=training) for _ in range(self.samples)]
        logs = tf.nn.log_softmax(tf.cast(tf.stack(draws), tf.float32))
        return tf.reduce_logsumexp(logs, 0) - math.log(self.samples)

    def rejection(self, x: Any) -> Tensor:
        """The mean of `Classifier.rejection` over the calls, float32 [N, rules]."""
        draws = [self.base.rejection(x) for _ in range(self.samples)]
        return tf.reduce_mean(tf.stack(draws), 0)

    @property
    def fingerprint(self) -> str:
        """Hash of the classifier's fingerprint and the number of calls."""
        return sha256(self.base.fingerprint, f"mean of {self.samples}")

    def at(self, precision: str | None) -> Classifier:
        """Returns the mean of the classifier in another precision."""
        return mean_of(self.base.at(precision), self.samples)


def mean_of(classifier: Any, samples: int) -> Classifier:
    """Classifier whose logits are log(mean softmax) over `samples` calls of a classifier.

    It has the classifier's rules of rejection, averaged over as many calls. The result is cached
    with the classifier, so that programs compiled for it are reused for every batch.

    Args:
      classifier: a Classifier, a Keras model or a function.
      samples: number of calls averaged, > 0.

    Returns:
      A Classifier; the same object for the same arguments.
    """
    classifier = as_classifier(classifier)
    kept, key = vars(classifier), f"{KEPT}{samples}"
    if key not in kept or kept[key].base is not classifier:  # that of a copied classifier
        kept[key] = _Mean(classifier, samples)
    return kept[key]
