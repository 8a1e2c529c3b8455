"""Transfer attack: adversarial examples crafted on a surrogate model."""

from typing import Any

from tensorflow import Tensor

from mmtf.attacks import loop
from mmtf.attacks.base import Attack
from mmtf.classifiers.classifier import as_classifier
from mmtf.config import NORMS


class Transfer(Attack):
    """Crafts adversarial examples with `attack` on a surrogate model (Papernot et al. 2017).

    The classifier under attack is never queried, neither for gradients nor for predictions.
    `FGSM k` of the paper's tables is Transfer(classifier of round k - 1, FGSM(threat)). An attack
    that stops at the surrogate's decision boundary (`stop_early=True`, DeepFool, FAB,
    Carlini-Wagner) transfers less than one that continues.

    Args:
      source: surrogate model: a Classifier, a Keras model or a function. It computes in float32.
      attack: the attack to run on the surrogate. Its threat model is used.

    Example:
      >>> import tensorflow as tf
      >>> from mmtf.attacks import FGSM
      >>> from mmtf.threat import ThreatModel
      >>> def source(x, training): return tf.concat([x, -x], 1)
      >>> attack = Transfer(source, FGSM(ThreatModel(eta=0.3)))
      >>> print(attack(None, tf.constant([[0.5]]), tf.constant([0])).numpy().round(1))
      [[0.2]]
    """

    norms = NORMS
    compiles_itself = True
    queries_model = False

    def __init__(self, source: Any, attack: Attack):
        super().__init__(attack.threat)
        self.source = source
        self.attack = attack
        self.deterministic = attack.deterministic

    def supports(self, classifier: Any, x: Any) -> None:
        self.attack.supports(self._surrogate, x)

    def passes(self, classes: int) -> float:
        return self.attack.passes(classes)

    def aims_at(self, classifier: Any, x: Any, y: Any, seed: Any) -> Tensor | None:
        return self.attack.aims_at(self._surrogate, x, y, seed)

    def run(self, classifier: Any, x: Tensor, labels: Tensor, seed: Tensor) -> Tensor:
        return loop.run(self.attack, self._surrogate, x, labels, seed)

    @property
    def _surrogate(self):
        return as_classifier(self.source).at("float32")
