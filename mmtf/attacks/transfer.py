"""Images made on one classifier and shown to another: the oldest black-box attack."""

from mmtf.attacks.base import Attack, run
from mmtf.classifiers.precision import evaluating_in_float32


class Transfer(Attack):
    """z of `attack` on another classifier, whatever the victim (Papernot et al. 2017).

    Asks the victim nothing, neither gradient nor prediction. FGSM k of the paper's tables is
    Transfer(the classifier of round k - 1, FGSM(threat)). An attack that stops at the source's
    boundary (`stop_early`, DeepFool, FAB, Carlini-Wagner) transfers less than one that goes on.

    Args:
      source: the classifier attacked, a Keras model or a callable as a victim is.
      attack: how; its threat model is this attack's.

    Example:
      >>> import tensorflow as tf
      >>> from mmtf.attacks.fgsm import FGSM
      >>> from mmtf.threat import ThreatModel
      >>> def source(x, training): return tf.concat([x, -x], 1)
      >>> attack = Transfer(source, FGSM(ThreatModel(eta=0.3)))
      >>> print(attack(None, tf.constant([[0.5]]), tf.constant([0])).numpy().round(1))
      [[0.2]]
    """

    compiles_itself = True
    asks = False

    def __init__(self, source, attack: Attack):
        self.norms = attack.norms
        super().__init__(attack.threat)
        self.source = source
        self.attack = attack
        self.deterministic = attack.deterministic

    def __call__(self, classifier, x, y, *, seed=(0, 0)):
        with evaluating_in_float32(self.source):
            return run(self.attack, self.source, x, y, seed)
