"""Deprecated helpers of attacks, under their names in mmtf 0.1; `mmtf._moved` redirects here."""

from collections.abc import Callable
from typing import Any

from mmtf.attacks.base import Attack
from mmtf.attacks.eot import mean_of
from mmtf.classifiers.classifier import Classifier, as_classifier
from mmtf.losses import loss_to_target
from mmtf.registry import Registry

AIMED_LOSSES = {name: loss_to_target(name) for name in ("cross_entropy", "margin", "dlr")}
MADE = Registry(
    "attack made of others",
    {
        "Transfer": "mmtf.attacks.transfer:Transfer",
        "ExpectationOverTransformation": "mmtf.attacks.eot:ExpectationOverTransformation",
        "UniversalPerturbation": "mmtf.attacks.universal:UniversalPerturbation",
    },
)


def compiled(classifier: Any, owner: Any, function: Callable) -> Callable:
    """Use `Classifier.compiled`."""
    parts = owner if isinstance(owner, tuple) else (owner,)
    key = tuple(one.key() if isinstance(one, Attack) else one for one in parts)
    return as_classifier(classifier).compiled(key, function)


def mean_classifier(classifier: Any, samples: int) -> Classifier:
    """Use `mmtf.attacks.eot.mean_of`."""
    return mean_of(as_classifier(classifier), samples)
