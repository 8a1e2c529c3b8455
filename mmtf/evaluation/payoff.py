"""Measures payoff matrices of classifiers x attacks x radii.

`evaluate`, which is `mmtf.evaluate`, measures a single threat model and returns a DataFrame.
"""

import dataclasses
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from mmtf.attacks.base import Attack
from mmtf.classifiers.classifier import Classifier, as_classifier
from mmtf.data.dataset import Dataset, require_dataset
from mmtf.errors import ConfigError, require, require_names
from mmtf.evaluation.admission import (
    SCALE_EXAMPLES,
    attack_precision,
    validate_classifier,
    validate_logits,
)
from mmtf.evaluation.attack_specs import make_attacks
from mmtf.evaluation.batching import default_batch_size
from mmtf.evaluation.best_response import AttNetRecipe
from mmtf.evaluation.cells import Examples, Row, cell_measurer
from mmtf.evaluation.fitted import FittedAttack, as_fitted
from mmtf.evaluation.gradient_masking import Finding
from mmtf.evaluation.options import EvalOptions
from mmtf.evaluation.payoff_result import (
    Matrix,
    classifier_findings,
    paired_tests,
    table_findings,
)
from mmtf.evaluation.progress import cells_progress
from mmtf.evaluation.results import Result, worst
from mmtf.evaluation.runner import BrokenConstraint
from mmtf.evaluation.unions import balls_of, make_attacks_in
from mmtf.evaluation.verdict import misclassified
from mmtf.radius import Radius, as_radius, largest, radius_entry, radius_text
from mmtf.reports.errors import HEADING, error_text
from mmtf.threat import ThreatModel, require_threat
from mmtf.training.loop import RiskNotFinite

# Columns of the DataFrame that `evaluate` returns; `defense` only for several models.
COLUMNS = (
    *("defense", "attack", "error", "robust_accuracy"),
    *("ci_low", "ci_high", "n", "seconds", "in_doubt"),
)
# Further columns if an attack has a target.
TARGETED = ("target_rate", "target_low", "target_high", "target_n")


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
      the first column is defense. If an attack has a target, target_rate is the share of the
      images classified as their target, of the target_n whose true class is another one, with its
      interval from target_low to target_high. `frame.attrs["signs"]` lists the signs of masked
      gradients as text.

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
    if threat is not None:
        require_threat(threat)
    if not isinstance(attacks, dict):
        if threat is None:
            raise ConfigError(
                "Expected threat=ThreatModel(eta=...) for attacks by name. Received: None."
            )
        require_names("attacks", attacks)
        attacks = make_attacks({name: {} for name in attacks}, threat, seed=seed)
    columns = {name: as_fitted(attack) for name, attack in attacks.items()}
    threat = threat or next(iter(columns.values())).threat
    single = not isinstance(models, dict)
    matrix = _measured(
        {"model": models} if single else models,
        {radius_entry(threat.eta): columns},
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
    rows = [
        {
            **cell.to_dict(),
            "robust_accuracy": cell.robust_accuracy,
            "in_doubt": cell.defense in doubted and cell.attack != "none",
        }
        for cell in matrix.cells
    ]
    signs = [str(finding) for finding in matrix.findings]
    for sign in signs:
        warnings.warn(sign, stacklevel=2)
    targeted = any(cell.targets is not None for cell in matrix.cells)
    shown = [*COLUMNS[single:], *(TARGETED if targeted else ())]
    frame = pd.DataFrame(rows, columns=shown)
    frame.attrs["signs"] = signs
    return frame


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
    return _measured(classifiers, columns, dataset, options, threat=threat, leave_out=True, say=say)


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
    progress = cells_progress([classifier], list(columns.values()), dataset, options)
    measured, row = cell_measurer(examples, options, progress), Row(None, None, classifier)
    results = [measured(row, name, column) for name, column in columns.items()]
    for name, part in (unions or {}).items():
        overall = worst([one for one in results[: len(columns)] if one.attack in part], clean)
        results.append(dataclasses.replace(overall, attack=name))
    return [*results, worst(results[: len(columns)], clean)]


def _measured(
    models: Mapping[str, Any],
    columns: Mapping[float | str, Mapping[str, FittedAttack]],
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
    wrong: dict[tuple[str, str, float | str], np.ndarray] = {}
    progress = cells_progress(list(classifiers.values()), attacks, dataset, options)
    measured = cell_measurer(examples, options, progress)
    for name, classifier in classifiers.items():
        if options.checks:
            findings += classifier_findings(name, classifier, examples, threat, options, progress)
        clean[name] = misclassified(classifier, examples.x, examples.y, options.batch_size)
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
            overall = worst(here, clean[name])
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
