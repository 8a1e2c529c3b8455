"""A measured payoff matrix, and the checks of it: gradient masking and paired tests.

The checks take the errors as (classifier, attack, radius) -> bool [N], which examples are
misclassified.
"""

import contextlib
import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from mmtf.attacks import ATTACKS
from mmtf.attacks.eot import ExpectationOverTransformation, mean_of
from mmtf.attacks.transfer import Transfer
from mmtf.bounds.certificates import Certificates
from mmtf.classifiers.classifier import Classifier, as_classifier
from mmtf.evaluation.cells import Examples
from mmtf.evaluation.certified_radius import CertifiedRadii
from mmtf.evaluation.fitted import ComputedAttack, FittedAttack, is_targeted
from mmtf.evaluation.gradient_masking import Finding, masking_in_classifier, masking_in_table
from mmtf.evaluation.options import EvalOptions
from mmtf.evaluation.progress import CellsProgress
from mmtf.evaluation.results import Result
from mmtf.stats.paired import comparisons
from mmtf.threat import ThreatModel

Wrong = Mapping[tuple[str, str, float | str], np.ndarray]


@dataclasses.dataclass(frozen=True, eq=False)
class Matrix:
    """A measured payoff matrix.

    Attributes:
      cells: a Result for each classifier x attack x radius; and, for each classifier x radius,
        `worst`, the per-example worst case over the attacks.
      findings: signs of masked gradients, which put the classifier's error rates in doubt.
      comparisons: radius -> McNemar's tests between classifiers under the per-example worst case
        over the attacks that all of them have (`paired_tests`).
      norms: (attack, radius) -> norm of the attack's ball.
      certificates: (classifier, radius) -> what verifiers proved, if they ran.
      certified_parts: (classifier, column, radius) -> what they proved in single balls of a union,
        and what the cheap verifiers proved on all examples.
      certified_radii: classifier -> the certified radius of each example, if it was computed.
      drawn: int [n], the examples on which certificates are; None: all.
      further: name -> array, what examples.npz has beside the outcome of each cell.
    """

    cells: list[Result]
    findings: list[Finding]
    comparisons: dict[float | str, list[dict[str, Any]]]
    norms: dict[tuple[str, float | str], str] = dataclasses.field(default_factory=dict)
    certificates: dict[tuple[str, float | str], Certificates] = dataclasses.field(
        default_factory=dict
    )
    certified_parts: dict[tuple[str, str, float | str], Certificates] = dataclasses.field(
        default_factory=dict
    )
    certified_radii: dict[str, CertifiedRadii] = dataclasses.field(default_factory=dict)
    drawn: np.ndarray | None = None
    further: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)


def classifier_findings(
    name: str,
    classifier: Classifier,
    examples: Examples,
    threat: ThreatModel,
    options: EvalOptions,
    progress: CellsProgress | None = None,
) -> list[Finding]:
    """Signs of masked gradients in a classifier itself (`masking_in_classifier`).

    With `options.eot_samples` > 1, gradients are averages over as many forward passes. `progress`
    shows the checks as its next ones.
    """
    samples = options.eot_samples
    attacked = mean_of(classifier.at("float32"), samples) if samples > 1 else None
    with contextlib.nullcontext() if progress is None else progress.check(name) as bar:
        return masking_in_classifier(
            name,
            classifier,
            examples.x,
            examples.y,
            threat,
            options.seed,
            attacked,
            batch_size=options.batch_size,
            progress=bar,
        )


def table_findings(
    wrong: Wrong, columns: Mapping[float | str, Mapping[str, FittedAttack]]
) -> list[Finding]:
    """Signs of masked gradients in the errors, for the attacks of each norm and box apart.

    Args:
      wrong: the errors; `worst` is left out, and so are targeted attacks, which fail on images
        that others break.
      columns: radius -> name of an attack -> the attack, whose own threat model counts.
    """
    kinds: dict[tuple, dict] = {}
    names: dict[str, str] = {}
    for (defense, attack, eta), errors in wrong.items():
        if attack in columns[eta] and not is_targeted(columns[eta][attack]):
            column = columns[eta][attack]
            names[attack] = _registered_name(attack, column)
            kind = kinds.setdefault(_kind_of(column.threat), {})
            kind[defense, attack, column.threat.radius] = errors
    return [finding for kind in kinds.values() for finding in masking_in_table(kind, names)]


def one_kind(threats: Iterable[ThreatModel]) -> bool:
    """Whether the balls differ in their radius alone, so that sizes in them can be compared."""
    return len({_kind_of(threat) for threat in threats}) <= 1


def _registered_name(name, attack) -> str:
    """The name in ATTACKS of an attack's class, whatever its column is called; else the column's.

    An averaged attack has the name of the one within it, a transferred one `<attack>@<source>`.
    """
    if isinstance(attack, Transfer):
        return f"{_registered_name(name, attack.attack)}@{as_classifier(attack.source).name}"
    if isinstance(attack, ComputedAttack | ExpectationOverTransformation):
        return _registered_name(name, attack.attack)
    return next((known for known in ATTACKS if type(attack) is ATTACKS[known]), name)


def _kind_of(threat):
    """The norm, the box and the weights: balls of one kind are nested."""
    return threat.norm, threat.box, np.asarray(threat.weights).tobytes()


def paired_tests(
    wrong: Wrong, clean: Mapping[str, np.ndarray], eta: float | str
) -> list[dict[str, Any]]:
    """McNemar's tests between all pairs of classifiers at one radius (`comparisons`).

    They compare the per-example worst cases over the attacks that all classifiers have.

    Args:
      wrong: the errors under attack.
      clean: classifier -> bool [N], its errors without an attack.
      eta: the radius.
    """
    attacks = [{attack for one, attack, at in wrong if (one, at) == (name, eta)} for name in clean]
    common = sorted(set.intersection(*attacks) - {"worst"})
    return comparisons(
        {
            name: np.logical_or.reduce([errors, *(wrong[name, attack, eta] for attack in common)])
            for name, errors in clean.items()
        }
    )
