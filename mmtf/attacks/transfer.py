"""Adversarial examples crafted on a surrogate model: the oldest black-box attack."""

from typing import Any

from tensorflow import Tensor

from mmtf.attacks import loop
from mmtf.attacks.base import Attack
from mmtf.classifiers.classifier import as_classifier


class Transfer(Attack):
    """z of `attack` on another classifier, whatever the one attacked (Papernot et al. 2017).

    Queries the attacked classifier for nothing, neither gradient nor prediction. FGSM k of the
    paper's tables is Transfer(the classifier of round k - 1, FGSM(threat)). An attack that stops
    at the surrogate's boundary (`stop_early`, DeepFool, FAB, Carlini-Wagner) transfers less than
    one that goes on.

    Args:
      source: the surrogate model, a Classifier, a Keras model or a function; it computes in
        float32.
      attack: run on the surrogate; its threat model is this attack's.

    Example:
      >>> import tensorflow as tf
      >>> from mmtf.attacks import FGSM
      >>> from mmtf.threat import ThreatModel
      >>> def source(x, training): return tf.concat([x, -x], 1)
      >>> attack = Transfer(source, FGSM(ThreatModel(eta=0.3)))
      >>> print(attack(None, tf.constant([[0.5]]), tf.constant([0])).numpy().round(1))
      [[0.2]]
    """

    compiles_itself = True
    queries_model = False

    def __init__(self, source: Any, attack: Attack):
        super().__init__(attack.threat)
        self.source = source
        self.attack = attack
        self.deterministic = attack.deterministic

    def supports(self, classifier: Any, x: Any) -> None:
        self.attack.supports(self._surrogate, x)

    def run(self, classifier: Any, x: Tensor, labels: Tensor, seed: Tensor) -> Tensor:
        return loop.run(self.attack, self._surrogate, x, labels, seed)

    @property
    def _surrogate(self):
        return as_classifier(self.source).at("float32")
