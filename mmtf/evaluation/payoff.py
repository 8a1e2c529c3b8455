"""Measures payoff matrices of classifiers x attacks x radii.

`evaluate`, which is `mmtf.evaluate`, measures a single threat model and returns a DataFrame.
"""

import contextlib
import dataclasses
import functools
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from mmtf.attacks.base import Attack
from mmtf.attacks.eot import mean_of
from mmtf.classifiers.classifier import Classifier, as_classifier
from mmtf.data.dataset import Dataset, require_dataset
from mmtf.errors import ConfigError, require
from mmtf.evaluation.admission import (
    SCALE_EXAMPLES,
    attack_precision,
    validate_classifier,
    validate_logits,
)
from mmtf.evaluation.attack_specs import make_attacks
from mmtf.evaluation.batching import default_batch_size
from mmtf.evaluation.best_response import AttNetRecipe
from mmtf.evaluation.cells import Examples, Row, measured_cell
from mmtf.evaluation.fitted import FittedAttack, as_fitted
from mmtf.evaluation.gradient_masking import Finding, masking_in_classifier, masking_in_table
from mmtf.evaluation.options import EvalOptions
from mmtf.evaluation.progress import cells_progress
from mmtf.evaluation.runner import BrokenConstraint, Result, worst
from mmtf.evaluation.verdict import misclassified
from mmtf.reports.errors import HEADING, error_text
from mmtf.stats.paired import comparisons
from mmtf.threat import ThreatModel
from mmtf.training.loop import RiskNotFinite


@dataclasses.dataclass(frozen=True, eq=False)
class Matrix:
    """A measured payoff matrix.

    Attributes:
      cells: a Result for each classifier x attack x radius; and, for each classifier x radius,
        `worst`, the per-example worst case over the attacks.
      findings: signs of masked gradients, which put the classifier's error rates in doubt.
      comparisons: radius -> McNemar's tests between classifiers under the per-example worst case
        over the attacks that all of them have (`mmtf.stats.paired.comparisons`).
    """

    cells: list[Result]
    findings: list[Finding]
    comparisons: dict[float, list[dict[str, Any]]]


def evaluate(
    models: Any,
    attacks: Any,
    dataset: Dataset,
    *,
    threat: ThreatModel | None = None,
    max_examples: int = 0,
    seed: int = 0,
    checks: bool = True,
    attack_precision: str = "float32",
    batch_size: int | None = None,
) -> pd.DataFrame:
    """Measures test error and robust accuracy under each attack and under the worst of them.

    The checks are those of `python -m mmtf.evaluate`: a model is rejected if its image shape,
    logits or pixel scale do not match the dataset; signs of masked gradients mark its error rates
    and raise a UserWarning. The command adds several radii, paired tests, reports and a cache.

    Args:
      models: a Keras model that returns logits, a `mmtf.Classifier`, or a dict name -> one of them.
      attacks: names (see `mmtf.evaluation.attack_specs.make_attacks`), or a dict name -> Attack.
        A dict may mix threat models, such as linf and l2 balls; `worst` is then the worst case
        over the union of the balls.
      dataset: its test split is used.
      threat: the threat model of attacks given by name, required for these; also the ball in which
        masked gradients are checked for. None: that of the first Attack.
      max_examples: number of test examples, the first ones; 0 for all.
      seed: for random starts.
      checks: whether to check for signs of masked gradients (`mmtf.evaluation.gradient_masking`).
      attack_precision, batch_size: `precision` and `batch_size` of `EvalOptions`.

    Returns:
      A row per model and attack, with the columns attack, error, robust_accuracy (1 - error),
      ci_low, ci_high (95 % interval of the error), n, seconds and in_doubt; for a dict of models
      the first column is defense. `frame.attrs["signs"]` lists the signs of masked gradients as
      text.

    Raises:
      ConfigError: a model does not match the dataset, or attacks are given by name without a
        threat model.
      BrokenConstraint: an attack left the ball or the box, or returned NaN.

    Example:
      >>> import mmtf
      >>> data = mmtf.load_data("digits")
      >>> frame = evaluate(mmtf.nets.NETS["mnist_cnn"](), ["none", "fgsm"], data,
      ...                  threat=ThreatModel(eta=0.3), max_examples=20, checks=False)
      >>> list(frame.attack)
      ['none', 'fgsm', 'worst']
    """
    require_dataset(dataset)
    require(bool(attacks), "at least one attack", attacks)
    if not isinstance(attacks, dict):
        if threat is None:
            raise ConfigError(
                "Expected threat=ThreatModel(eta=...) for attacks by name. Received: None."
            )
        attacks = make_attacks({name: {} for name in attacks}, threat, seed=seed)
    columns = {name: as_fitted(attack) for name, attack in attacks.items()}
    threat = threat or next(iter(columns.values())).threat
    single = not isinstance(models, dict)
    matrix = _measured(
        {"model": models} if single else models,
        {threat.eta: columns},
        dataset,
        EvalOptions(
            max_examples=max_examples,
            seed=seed,
            checks=checks,
            precision=attack_precision,
            batch_size=batch_size,
        ),
        threat=threat,
    )
    doubted = {finding.defense for finding in matrix.findings}
    rows = []
    for cell in matrix.cells:
        row = cell.to_dict()
        rows.append(
            {
                **({} if single else {"defense": cell.defense}),
                "attack": cell.attack,
                "error": cell.error,
                "robust_accuracy": cell.robust_accuracy,
                **{name: row[name] for name in ("ci_low", "ci_high", "n", "seconds")},
                "in_doubt": cell.defense in doubted and cell.attack != "none",
            }
        )
    signs = [str(finding) for finding in matrix.findings]
    for sign in signs:
        warnings.warn(sign, stacklevel=2)
    frame = pd.DataFrame(rows)
    frame.attrs["signs"] = signs
    return frame


def payoff_matrix(
    classifiers: Mapping[str, Any],
    attacks: Mapping[str, Mapping[str, Any]],
    dataset: Dataset,
    *,
    etas: list[float],
    norm: str = "linf",
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
      etas: radii, > 0.
      norm: of the balls, a norm of `mmtf.threat.ThreatModel`.
      recipes, sources: see `make_attacks`.
      options: see `EvalOptions`; None: the defaults.
      say: called with a line of text for each cell.

    Raises:
      ConfigError: a classifier does not match the dataset, or an attack does not support the norm.
    """
    options = options or EvalOptions()
    sources = {name: as_classifier(one) for name, one in (sources or {}).items()}
    columns = {}
    for eta in etas:
        made = make_attacks(
            attacks,
            ThreatModel(eta=eta, norm=norm),
            recipes=recipes,
            sources=sources,
            eot_samples=options.eot_samples,
            seed=options.seed,
            cache_dir=options.cache_dir,
            progress=options.progress,
        )
        columns[eta] = {name: as_fitted(attack) for name, attack in made.items()}
    for name, source in sources.items():
        validate_classifier(source, dataset, name, options.batch_size)
    threat = ThreatModel(eta=max(etas), norm=norm)
    return _measured(classifiers, columns, dataset, options, threat=threat, leave_out=True, say=say)


def attack_classifier(
    classifier: Any,
    attacks: Mapping[str, Attack | FittedAttack],
    dataset: Dataset,
    options: EvalOptions | None = None,
) -> list[Result]:
    """Measures one row of a payoff matrix: a result per attack on the test split, then `worst`.

    `worst` also counts errors on the unperturbed image, which lies in every ball. Masked gradients
    are not checked for.

    Args:
      classifier: a Classifier, a Keras model, or a function (images, training=False) -> logits.
      attacks: column name -> attack; a FittedAttack is fitted first.
      dataset: its test split is measured; a FittedAttack is fitted on its training split.
      options: see `EvalOptions`; None: the defaults.

    Raises:
      ConfigError: the classifier's outputs are not logits.
      BrokenConstraint: see `measure`.
    """
    classifier = as_classifier(classifier)
    options = _resolved(options or EvalOptions(), [classifier], dataset)
    examples = Examples(dataset, options.max_examples)
    validate_logits(classifier, examples.x[:100], dataset.num_classes, options.batch_size)
    columns = {name: as_fitted(attack) for name, attack in attacks.items()}
    for column in columns.values():
        column.supports(classifier, examples.x[:1])
    clean = misclassified(classifier, examples.x, examples.y, options.batch_size)
    unchecked = dataclasses.replace(options, checks=False)
    progress = cells_progress([classifier], list(columns.values()), dataset, unchecked)
    row = functools.partial(
        measured_cell,
        Row(None, None, classifier),
        examples=examples,
        options=options,
        progress=progress,
    )
    results = [row(name, column) for name, column in columns.items()]
    return [*results, worst(results, clean)]


def _measured(
    models: Mapping[str, Any],
    columns: Mapping[float, Mapping[str, FittedAttack]],
    dataset: Dataset,
    options: EvalOptions,
    *,
    threat: ThreatModel,
    leave_out: bool = False,
    say: Callable[[str], Any] = lambda line: None,
) -> Matrix:
    """Measures a matrix.

    Args:
      columns: radius -> column name -> attack.
      threat: the ball in which masked gradients are checked for.
      leave_out: whether an attack that breaks its constraint is left out with a finding; else it
        raises.
    """
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
    progress = cells_progress(list(classifiers.values()), attacks, dataset, options)
    measured = functools.partial(
        measured_cell, examples=examples, options=options, progress=progress
    )
    for name, classifier in classifiers.items():
        if options.checks:
            findings += _masking(name, classifier, examples, threat, options, progress)
        clean[name] = misclassified(classifier, examples.x, examples.y, options.batch_size)
        for eta, row in columns.items():
            here, where = [], Row(name, eta, classifier)
            for attack, column in row.items():
                label = f"{name}  eta {eta:g}  {attack}"
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
            overall = worst(here, clean[name])
            cells += [*here, dataclasses.replace(overall, defense=name, eta=eta)]
    table = {(one.defense, one.attack, one.eta): one.wrong for one in cells}
    if options.checks:
        findings += _masking_in_table(table, columns)
    tests = {eta: comparisons(_over_common_attacks(table, clean, eta)) for eta in columns}
    return Matrix(cells, findings, tests)


def _resolved(options: EvalOptions, classifiers: list[Classifier], dataset) -> EvalOptions:
    """Resolves the precision and the batch size for this machine."""
    size = options.batch_size
    if size is None:
        size = default_batch_size(dataset.image_shape, calls=options.eot_samples)
    precision = attack_precision(options.precision, classifiers)
    return dataclasses.replace(options, precision=precision, batch_size=size)


def _masking(name, classifier, examples, threat, options, progress) -> list[Finding]:
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


def _masking_in_table(table, columns) -> list[Finding]:
    """Calls `masking_in_table` for the attacks of each norm and box, at each attack's radius."""
    kinds: dict[tuple, dict] = {}
    for (defense, attack, eta), wrong in table.items():
        if attack in columns[eta]:  # not `worst`
            threat = columns[eta][attack].threat
            kind = kinds.setdefault((threat.norm, threat.box), {})
            kind[defense, attack, threat.eta] = wrong
    return [finding for kind in kinds.values() for finding in masking_in_table(kind)]


def _over_common_attacks(table, clean, eta) -> dict[str, np.ndarray]:
    """Per-example worst case of each classifier over the attacks that all classifiers have."""
    have = {
        defense: {attack for name, attack, radius in table if (name, radius) == (defense, eta)}
        for defense in clean
    }
    common = sorted(set.intersection(*have.values()) - {"worst"})
    return {
        defense: np.logical_or.reduce(
            [clean[defense], *(table[defense, attack, eta] for attack in common)]
        )
        for defense in clean
    }
