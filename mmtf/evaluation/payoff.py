"""Measures payoff matrices of classifiers x attacks x radii."""

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np

from mmtf.attacks.base import Attack
from mmtf.classifiers.classifier import Classifier, as_classifier
from mmtf.data.dataset import Dataset
from mmtf.errors import require
from mmtf.evaluation.admission import (
    SCALE_EXAMPLES,
    attack_precision,
    validate_classifier,
    validate_logits,
)
from mmtf.evaluation.batching import default_batch_size
from mmtf.evaluation.best_response import AttNetRecipe
from mmtf.evaluation.cells import Examples, Row, cell_measurer
from mmtf.evaluation.fitted import FittedAttack, as_fitted
from mmtf.evaluation.gradient_masking import Finding
from mmtf.evaluation.options import EvalOptions
from mmtf.evaluation.payoff_result import (
    Matrix,
    classifier_findings,
    one_kind,
    paired_tests,
    table_findings,
)
from mmtf.evaluation.progress import cells_progress
from mmtf.evaluation.results import Result, worst
from mmtf.evaluation.runner import BrokenConstraint
from mmtf.evaluation.unions import balls_of, make_attacks_in
from mmtf.evaluation.verdict import accepted, misclassified
from mmtf.radius import Radius, as_radius, largest, radius_text
from mmtf.reports.errors import HEADING, error_text
from mmtf.threat import ThreatModel
from mmtf.training.loop import RiskNotFinite


def payoff_matrix(
    classifiers: Mapping[str, Any],
    attacks: Mapping[str, Mapping[str, Any]],
    dataset: Dataset,
    *,
    etas: Sequence[Radius],
    norm: str = "linf",
    others: Mapping[str, Sequence[float]] | None = None,
    recipes: Mapping[str, AttNetRecipe] | None = None,
    sources: Mapping[str, Any] | None = None,
    options: EvalOptions | None = None,
    say: Callable[[str], Any] = print,
) -> Matrix:
    """Measures each attack against each classifier at each radius on the test split.

    An attack is left out of the classifier's row, with a finding, if it leaves the ball or the box
    or returns NaN, or if it is an attack network whose training risk is not finite.

    Args:
      classifiers: name -> classifier; all are validated before any is measured.
      attacks: name -> options, see `mmtf.evaluation.attack_specs.make_attacks`.
      dataset: its test split is used.
      etas: radii, > 0, as of `mmtf.threat.ThreatModel`.
      norm: of the balls, a norm of `mmtf.threat.ThreatModel`.
      others: further balls at each radius, norm -> radii (`mmtf.evaluation.unions.balls_of`). An
        attack also runs in those whose norm it supports, in columns such as `pgd_l2`; `worst` is
        then the worst case over the union of the balls.
      recipes, sources: see `make_attacks`.
      options: see `EvalOptions`; None: the defaults.
      say: called with a line of text for each cell.

    Raises:
      ConfigError: a classifier does not match the dataset, or an attack does not support the norm.
    """
    options = options or EvalOptions()
    sources = {name: as_classifier(one) for name, one in (sources or {}).items()}
    columns: dict[float | str, dict[str, FittedAttack]] = {}
    require(isinstance(classifiers, Mapping), "classifiers as a dict by name", classifiers)
    require(isinstance(etas, list | tuple), "etas as a list of different radii", etas)
    etas = [as_radius("eta", eta) for eta in etas]
    require(0 < len(set(etas)) == len(etas), "etas as a list of different radii", etas)
    for eta, balls in balls_of(etas, norm, others).items():
        columns[eta] = {
            name: as_fitted(one)
            for name, one in make_attacks_in(
                balls,
                attacks,
                recipes=recipes,
                sources=sources,
                eot_samples=options.eot_samples,
                seed=options.seed,
                cache_dir=options.cache_dir,
                progress=options.progress,
            ).items()
        }
    for name, source in sources.items():
        validate_classifier(source, dataset, name, options.batch_size)
    threat = ThreatModel(eta=max(etas, key=largest), norm=norm)
    return measure_matrix(
        classifiers, columns, dataset, options, threat=threat, leave_out=True, say=say
    )


def attack_classifier(
    classifier: Any,
    attacks: Mapping[str, Attack | FittedAttack],
    dataset: Dataset,
    options: EvalOptions | None = None,
    unions: Mapping[str, Collection[str]] | None = None,
) -> list[Result]:
    """Measures one row of a payoff matrix: a result per attack on the test split, then `worst`.

    `worst` also counts errors on the unperturbed image, which lies in every ball. Masked gradients
    are not checked for.

    Args:
      classifier: a Classifier, a Keras model, or a function (images, training=False) -> logits.
      attacks: column name -> attack; a FittedAttack is fitted first.
      dataset: its test split is measured; a FittedAttack is fitted on its training split.
      options: see `EvalOptions`; None: the defaults.
      unions: name -> columns: before `worst` come the worst cases over these columns alone.

    Raises:
      ConfigError: the classifier's outputs are not logits.
      BrokenConstraint: see `measure`.
    """
    classifier = as_classifier(classifier)
    options = _resolved(options or EvalOptions(), [classifier], dataset, checks=False)
    examples = Examples(dataset, options.max_examples)
    validate_logits(classifier, examples.x[:100], dataset.num_classes, options.batch_size)
    columns = {name: as_fitted(attack) for name, attack in attacks.items()}
    for column in columns.values():
        column.supports(classifier, examples.x[:1])
    clean = misclassified(classifier, examples.x, examples.y, options.batch_size)
    kept = accepted(classifier, examples.x, options.batch_size)
    progress = cells_progress([classifier], list(columns.values()), dataset, options)
    measured, row = cell_measurer(examples, options, progress), Row(None, None, classifier)
    results = [measured(row, name, column) for name, column in columns.items()]

    def over(names: Collection[str]) -> Result:
        alone = one_kind(columns[name].threat for name in columns if name in names)
        here = [one for one in results[: len(columns)] if one.attack in names]
        return worst(here, clean, kept, one_length=alone)

    for name, part in (unions or {}).items():
        results.append(dataclasses.replace(over(part), attack=name))
    return [*results, over(columns)]


def measure_matrix(
    models: Mapping[str, Any],
    columns: Mapping[float | str, Mapping[str, FittedAttack]],
    dataset: Dataset,
    options: EvalOptions,
    *,
    threat: ThreatModel,
    leave_out: bool = False,
    say: Callable[[str], Any] = lambda line: None,
) -> Matrix:
    """Measures each column of attacks against each classifier, after checking all of them.

    Args:
      models: name -> classifier, as of `as_classifier`.
      columns: radius -> column name -> attack.
      dataset: its test split is measured; attacks are fitted on its training split.
      options: see `EvalOptions`.
      threat: the ball in which masked gradients are checked for.
      leave_out: whether an attack that breaks its constraint is left out with a finding; else it
        raises.
      say: called with a line of text for each cell.

    Raises:
      ConfigError: a model or its images do not fit.
      BrokenConstraint: an attack left the ball or the box, or returned NaN.
    """
    require(bool(models), "at least one classifier", models)
    classifiers = {name: as_classifier(model) for name, model in models.items()}
    options = _resolved(options, list(classifiers.values()), dataset)
    attacks = [column for row in columns.values() for column in row.values()]
    for ball in dict.fromkeys([threat, *(column.threat for column in attacks)]):
        ball.require_images(dataset.test(SCALE_EXAMPLES)[0])
    examples = Examples(dataset, options.max_examples)
    for name, classifier in classifiers.items():
        validate_classifier(classifier, dataset, name, options.batch_size)
        for column in next(iter(columns.values())).values():
            column.supports(classifier, examples.x[:1])
    findings, cells, clean = [], [], {}
    wrong: dict[tuple[str, str, float | str], np.ndarray] = {}
    progress = cells_progress(list(classifiers.values()), attacks, dataset, options)
    measured = cell_measurer(examples, options, progress)
    for name, classifier in classifiers.items():
        if options.checks:
            findings += classifier_findings(name, classifier, examples, threat, options, progress)
        clean[name] = misclassified(classifier, examples.x, examples.y, options.batch_size)
        kept = accepted(classifier, examples.x, options.batch_size)
        for eta, row in columns.items():
            here, where = [], Row(name, eta, classifier)
            for attack, column in row.items():
                label = f"{name}  eta {radius_text(eta)}  {attack}"
                try:
                    cell = measured(where, attack, column)
                except (BrokenConstraint, RiskNotFinite) as error:
                    if not leave_out:
                        raise
                    reason = str(error)
                    if isinstance(error, RiskNotFinite):  # from training a network
                        reason = "its training met a risk that is not finite"
                    findings.append(Finding(name, "broken_attack", f"{attack}: {reason}"))
                    say(f"{label}: left out, {reason}")
                    continue
                here.append(cell)
                say(f"{label}: {HEADING} {error_text(cell.error)}")
            alone = one_kind(row[one.attack].threat for one in here)
            overall = worst(here, clean[name], kept, one_length=alone)
            cells += [*here, dataclasses.replace(overall, defense=name, eta=eta)]
            wrong |= {(name, one.attack, eta): one.wrong for one in (*here, overall)}
    if options.checks:
        findings += table_findings(wrong, columns)
    tests = {eta: paired_tests(wrong, clean, eta) for eta in columns}
    norms = {
        (name, eta): one.threat.norm for eta, row in columns.items() for name, one in row.items()
    }
    return Matrix(cells, findings, tests, norms)


def _resolved(options: EvalOptions, classifiers: list[Classifier], dataset, **changes):
    """The options with `changes`, and with precision and batch size resolved for this machine."""
    size = options.batch_size
    if size is None:
        size = default_batch_size(dataset.image_shape, calls=options.eot_samples)
    precision = attack_precision(options.precision, classifiers)
    return dataclasses.replace(options, precision=precision, batch_size=size, **changes)
