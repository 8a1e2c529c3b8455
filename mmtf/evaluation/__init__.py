"""Errors of a defense under attacks: per example, re-checked, in float32, with intervals."""

from mmtf.evaluation.runner import (
    BrokenConstraint,
    Outcome,
    check_classifier,
    measure,
    misclassified,
    perturb,
    worst,
)
from mmtf.stats.intervals import wilson

__all__ = [
    "BrokenConstraint",
    "Outcome",
    "check_classifier",
    "measure",
    "misclassified",
    "perturb",
    "wilson",
    "worst",
]
