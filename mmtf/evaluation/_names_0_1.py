"""Evaluation functions under their mmtf 0.1 names and signatures.

mmtf._moved keeps them for one release.
"""

from collections.abc import Sequence
from typing import Any

from mmtf.attacks.base import Attack
from mmtf.classifiers.classifier import Classifier, as_classifier
from mmtf.classifiers.loading import load_classifier
from mmtf.data.dataset import Dataset
from mmtf.evaluation.admission import validate_classifier
from mmtf.evaluation.attack_specs import make_attacks
from mmtf.evaluation.fitted import FittedAttack, as_fitted
from mmtf.evaluation.options import EvalOptions
from mmtf.evaluation.payoff import Matrix
from mmtf.evaluation.payoff import payoff_matrix as _payoff_matrix
from mmtf.evaluation.results import Result
from mmtf.threat import ThreatModel

SHOWN = 8
SCALES = {"[0, 1]": lambda x: (x + 1.0) / 2.0, "[0, 255]": lambda x: (x + 1.0) * 127.5}


class Defense(Classifier):
    """A named classifier. Use `Classifier(model, name=...)` instead."""

    def __init__(self, name: str, classifier: Any):
        super().__init__(classifier, name=name)
        self.classifier = classifier


def served_logits(path: str) -> Any:
    """Returns the `logits` signature of a SavedModel as a function."""
    return load_classifier(path, trust_saved_models=True).model


def admit(defense: Defense, dataset: Dataset) -> None:
    """Use `validate_classifier` instead."""
    validate_classifier(defense, dataset)


def load_defense(path: str, name: str | None = None) -> Defense:
    """Use `load_classifier` instead."""
    found = load_classifier(path, name)
    return Defense(found.name, found.model)


def digest_of(classifier: Any) -> str:
    """Use `Classifier.fingerprint` instead."""
    return as_classifier(classifier).fingerprint


def identity_of(attack: Any) -> str:
    """Use `FittedAttack.identity` instead."""
    return as_fitted(attack).identity()


def as_result(outcome: Result) -> dict[str, Any]:
    """Use `Result.to_dict` instead."""
    return outcome.to_dict()


def columns_of(
    attacks: dict[str, dict[str, Any]],
    threat: ThreatModel,
    *,
    sources: Sequence[Defense] = (),
    **options: Any,
) -> dict[str, Attack | FittedAttack]:
    """Use `make_attacks` instead."""
    surrogates = {source.name: source for source in sources}
    return make_attacks(attacks, threat, sources=surrogates, **options)


def payoff_matrix(
    defenses: Sequence[Defense],
    attacks: dict[str, dict[str, Any]],
    dataset: Dataset,
    *,
    etas: list[float],
    norm: str = "linf",
    recipes: dict[str, Any] | None = None,
    sources: Sequence[Defense] = (),
    say: Any = print,
    progress: bool = True,
    **options: Any,
) -> Matrix:
    """Use `mmtf.evaluation.payoff.payoff_matrix` instead; here its options are keywords."""
    return _payoff_matrix(
        {defense.name: defense for defense in defenses},
        attacks,
        dataset,
        etas=etas,
        norm=norm,
        recipes=recipes or {},
        sources={source.name: source for source in sources},
        options=EvalOptions(**options, progress=progress, keep=SHOWN, distances=True),
        say=say,
    )
