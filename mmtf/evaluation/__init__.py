"""Error and robust accuracy of classifiers under attacks: per example, re-checked, in float32.

`mmtf.evaluate` measures models from Python, `python -m mmtf.evaluate` from a command line.
"""

from mmtf.evaluation.admission import validate_classifier, validate_logits
from mmtf.evaluation.runner import BrokenConstraint, Result, measure, perturb, worst
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
