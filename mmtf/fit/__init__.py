"""Keras' own way: adversarial training by `compile` and `fit` of any Keras classifier.

`mmtf.AdversarialModel(model, game)` is trained by `fit`; `mmtf.RobustAccuracy("pgd")` is a
callback that measures the robust accuracy on validation data.
"""

from mmtf.fit.adversarial_model import AdversarialModel
from mmtf.fit.robust_accuracy import RobustAccuracy

__all__ = ["AdversarialModel", "RobustAccuracy"]
