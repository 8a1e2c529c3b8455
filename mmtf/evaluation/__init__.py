"""Measures test error and robust accuracy of classifiers under attacks.

Outcomes are kept per example; adversarial examples are checked against the threat model and
classified in float32.

Call `mmtf.evaluate` from Python, or run `python -m mmtf.evaluate` from a command line.
"""

from mmtf.evaluation.admission import validate_classifier, validate_logits
from mmtf.evaluation.results import Result, worst
from mmtf.evaluation.runner import BrokenConstraint, measure, perturb
from mmtf.evaluation.verdict import misclassified
from mmtf.stats.intervals import wilson

__all__ = [
    "BrokenConstraint",
    "Result",
    "measure",
    "misclassified",
    "perturb",
    "validate_classifier",
    "validate_logits",
    "wilson",
    "worst",
]
