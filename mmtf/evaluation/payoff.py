"""`mmtf.evaluate`: several attacks against a classifier, as a frame."""

import warnings

import pandas as pd

from mmtf.attacks import ATTACKS
from mmtf.attacks.base import Attack
from mmtf.classifiers.loading import SCALE_EXAMPLES, Defense, admit
from mmtf.classifiers.loading import attack_precision as resolved
from mmtf.data.dataset import Dataset, require_dataset
from mmtf.errors import require
from mmtf.evaluation.fitted import FittedAttack
from mmtf.evaluation.gradient_masking import check_defense, check_table
from mmtf.evaluation.runner import Outcome, check_classifier, measure, misclassified, worst
from mmtf.threat import ThreatModel


def attack_classifier(
    classifier,
    attacks: dict[str, Attack],
    dataset: Dataset,
    *,
    max_examples=0,
    seed=0,
    keep=0,
    precision="float32",
) -> list[Outcome]:
    """One outcome per attack on the test split, then the per-example `worst` over all of them.

    `worst` counts the image itself, which lies in every ball.

    Args:
      classifier: Keras model giving logits.
      attacks: by the name of their column; a `FittedAttack` one is fitted first.
      dataset: its test split is used.
      max_examples: the first so many test examples, 0 for all.
      seed: of random starts.
      keep: adversarial images kept in each outcome.
      precision: of the attacks, see `perturb`.

    Raises:
      ConfigError: the classifier's outputs are no logits; BrokenConstraint: see `measure`.
    """
    x, y = dataset.test(max_examples)
    check_classifier(classifier, x[:100], dataset.num_classes)
    for attack in attacks.values():
        if isinstance(attack, Attack):
            attack.supports(classifier, x[:1])
    outcomes = []
    for name, attack in attacks.items():
        if isinstance(attack, FittedAttack):
            attack = attack.fit(classifier, dataset)
        given = {"name": name, "seed": seed, "keep": keep, "precision": precision}
        outcomes.append(measure(classifier, attack, x, y, **given))
    return [*outcomes, worst(outcomes, misclassified(classifier, x, y))]


def evaluate(
    models,
    attacks,
    dataset: Dataset,
    *,
    threat: ThreatModel | None = None,
    max_examples: int = 0,
    seed: int = 0,
    checks: bool = True,
    attack_precision: str = "float32",
) -> pd.DataFrame:
    """Test error, 95 % interval and n of each model under each attack and under the worst.

    The checks of `python -m mmtf.evaluate` come first: a model whose images, logits or pixel scale
    do not fit is refused, signs of masked gradients mark its figures and are warned of. The
    command adds several radii, paired tests, reports, and cells that are kept.

    Args:
      models: a Keras model giving logits, or a dict name -> model.
      attacks: names of `mmtf.attacks.ATTACKS`, or a dict name -> Attack. Several threat models, as
        linf and l2 balls, may stand in one dict: `worst` is then that over the union of the balls.
      dataset: its test split is used.
      threat: for attacks given by name; else that of the first Attack.
      max_examples: the first so many test examples, 0 for all.
      seed: of random starts.
      checks: whether to look for signs of masked gradients (`mmtf.evaluation.gradient_masking`).
      attack_precision: `float32`, `bfloat16`, or `auto`, bfloat16 where the hardware has it: what
        the attacks compute in. Images are judged in float32.

    Returns:
      Columns attack, error, ci_low, ci_high, n, seconds, in_doubt; before them defense for a
      dict. `frame.attrs["signs"]` holds the signs in words.

    Raises:
      ConfigError: a model that does not fit, or attacks by name without a threat model.

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
        require(threat is not None, "threat=ThreatModel(eta=...) for attacks by name", threat)
        attacks = {name: ATTACKS[name](threat) for name in attacks}
    threat = threat or next(iter(attacks.values())).threat
    balls = {key: getattr(one, "threat", threat) for key, one in attacks.items()}
    for ball in dict.fromkeys(balls.values()):
        ball.require_images(dataset.test(SCALE_EXAMPLES)[0])
    single = not isinstance(models, dict)
    named = {"model": models} if single else models
    precision = resolved(attack_precision, [Defense(*one) for one in named.items()])
    rows, signs = [], []
    for name, model in named.items():
        admit(Defense(name, model), dataset)
        found = []
        if checks:
            x, y = dataset.test(max_examples)
            found = check_defense(name, model, x, y, threat, seed)
        given = {"max_examples": max_examples, "seed": seed, "precision": precision}
        outcomes = attack_classifier(model, attacks, dataset, **given)
        if checks:
            for ball in dict.fromkeys(balls.values()):  # one attack may reach further than another
                here = [one for one in outcomes[:-1] if balls[one.attack] == ball]
                found += check_table({(name, one.attack, ball.eta): one.wrong for one in here})
        for outcome in outcomes:
            row = {} if single else {"defense": name}
            doubt = bool(found) and outcome.attack != "none"
            rows.append({**row, **as_result(outcome), "in_doubt": doubt})
        signs += [str(one) for one in found]
    for sign in signs:
        warnings.warn(sign, stacklevel=2)
    frame = pd.DataFrame(rows)
    frame.attrs["signs"] = signs
    return frame


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
