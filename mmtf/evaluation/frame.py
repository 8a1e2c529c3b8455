"""`evaluate`, which is `mmtf.evaluate`: the errors under one threat model as a DataFrame."""

import warnings
from typing import Any

import pandas as pd

from mmtf.data.dataset import Dataset, require_dataset
from mmtf.errors import ConfigError, require, require_names
from mmtf.evaluation.attack_specs import make_attacks
from mmtf.evaluation.fitted import as_fitted
from mmtf.evaluation.options import EvalOptions
from mmtf.evaluation.payoff import measure_matrix
from mmtf.radius import radius_entry
from mmtf.threat import ThreatModel, require_threat

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
        require_names("attacks", attacks)
        if threat is None:
            raise ConfigError(
                "Expected threat=ThreatModel(eta=...) for attacks by name. Received: None."
            )
        attacks = make_attacks({name: {} for name in attacks}, threat, seed=seed)
    columns = {name: as_fitted(attack) for name, attack in attacks.items()}
    threat = threat or next(iter(columns.values())).threat
    single = not isinstance(models, dict)
    matrix = measure_matrix(
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
