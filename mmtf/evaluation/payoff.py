"""`mmtf.evaluate`: several attacks against a classifier, as a frame."""

import pandas as pd

from mmtf.attacks import ATTACKS
from mmtf.attacks.base import Attack
from mmtf.data.dataset import Dataset
from mmtf.evaluation.fresh import Fresh
from mmtf.evaluation.measure import Outcome, check_classifier, measure, worst
from mmtf.threat import ThreatModel


def attack_classifier(
    classifier, attacks: dict[str, Attack], dataset: Dataset, *, max_examples=0, seed=0, keep=0
) -> list[Outcome]:
    """One outcome per attack on the test split, then the per-example `worst` over all of them.

    Args:
      classifier: Keras model giving logits.
      attacks: by the name of their column; a `Fresh` one is fitted first.
      dataset: its test split is used.
      max_examples: the first so many test examples, 0 for all.
      seed: of random starts.
      keep: adversarial images kept in each outcome.

    Raises:
      ConfigError: the classifier's outputs are no logits; BrokenConstraint: see `measure`.
    """
    x, y = dataset.test(max_examples)
    check_classifier(classifier, x[:100], dataset.num_classes)
    outcomes = []
    for name, attack in attacks.items():
        if isinstance(attack, Fresh):
            attack = attack.fit(classifier, dataset)
        outcomes.append(measure(classifier, attack, x, y, name=name, seed=seed, keep=keep))
    return [*outcomes, worst(outcomes)]


def evaluate(
    models,
    attacks,
    dataset: Dataset,
    *,
    threat: ThreatModel,
    max_examples: int = 0,
    seed: int = 0,
) -> pd.DataFrame:
    """Test error, 95 % interval and n of each model under each attack and under the worst.

    `python -m mmtf.evaluate` adds several radii, paired tests, checks and reports.

    Args:
      models: a Keras model giving logits, or a dict name -> model.
      attacks: names of `mmtf.attacks.ATTACKS`, or a dict name -> Attack.
      dataset: its test split is used.
      threat: for attacks given by name.
      max_examples: the first so many test examples, 0 for all.
      seed: of random starts.

    Returns:
      Columns attack, error, ci_low, ci_high, n, seconds; before them defense for a dict.

    Example:
      >>> import mmtf
      >>> data = mmtf.load_data("digits")
      >>> frame = evaluate(mmtf.nets.NETS["mnist_cnn"](), ["none", "fgsm"], data,
      ...                  threat=ThreatModel(eta=0.3), max_examples=20)
      >>> list(frame.attack)
      ['none', 'fgsm', 'worst']
    """
    if not isinstance(attacks, dict):
        attacks = {name: ATTACKS[name](threat) for name in attacks}
    if isinstance(models, dict):
        rows = [
            {"defense": name, **row}
            for name, model in models.items()
            for row in _rows(model, attacks, dataset, max_examples, seed)
        ]
    else:
        rows = _rows(models, attacks, dataset, max_examples, seed)
    return pd.DataFrame(rows)


def _rows(classifier, attacks, dataset, max_examples, seed):
    outcomes = attack_classifier(classifier, attacks, dataset, max_examples=max_examples, seed=seed)
    return [as_result(outcome) for outcome in outcomes]


def as_result(outcome: Outcome) -> dict:
    """What record.json holds of an outcome."""
    low, high = outcome.interval
    return {
        "attack": outcome.attack,
        "error": outcome.error,
        "ci_low": low,
        "ci_high": high,
        "n": outcome.n,
        "seconds": round(outcome.seconds, 2),
    }
