"""The cat-and-mouse matrix: FGSM of the saved rounds against any defense (Tables 2, 3, 7, 8)."""

import os
from collections.abc import Iterable, Mapping
from typing import Any

from mmtf.attacks.single_step import FGSM
from mmtf.classifiers.loading import load_classifier
from mmtf.data.dataset import Dataset
from mmtf.errors import ConfigError
from mmtf.evaluation.results import Result
from mmtf.evaluation.runner import perturb
from mmtf.evaluation.verdict import misclassified
from mmtf.threat import ThreatModel


def round_path(folder: str, number: int) -> str:
    """Path of the classifier of round `number`, on which FGSM `number + 1` is crafted."""
    return os.path.join(folder, f"{number:03d}.keras")


def kept_rounds(folder: str) -> list[int]:
    """Returns the numbers of the rounds whose classifiers are in `folder`, ascending."""
    names = os.listdir(folder) if os.path.isdir(folder) else []
    stems = [name.removesuffix(".keras") for name in names if name.endswith(".keras")]
    return sorted(int(stem) for stem in stems if stem.isdigit())


def shown_rounds(rounds: int) -> list[int]:
    """Returns the rounds that the paper's tables show: 0 (no defense), 1, 2 and the last."""
    return sorted({0, 1, 2, rounds} & set(range(rounds + 1)))


def replay(
    defenses: Mapping[str, Any],
    folder: str,
    numbers: Iterable[int],
    threat: ThreatModel,
    dataset: Dataset,
    count: int = 0,
) -> list[dict[str, Any]]:
    """Measures test errors of `defenses` under FGSM k for each k in `numbers`.

    Args:
      defenses: name -> Classifier or Keras model.
      folder: holds the classifiers of a cat-and-mouse game's rounds.
      numbers: k >= 1; FGSM k is crafted on the classifier of round k - 1.
      threat: with the norm `linf`.
      dataset: its test split is used.
      count: number of test examples, from the first; 0 for all.

    Returns:
      A list of dicts: defense, attack (`fgsm<k>`), error, ci_low, ci_high, n.

    Raises:
      ConfigError: the classifier of a round is missing.
    """
    x, y = dataset.test(count)
    results = []
    for number in numbers:
        path = round_path(folder, number - 1)
        if not os.path.exists(path):
            raise ConfigError(
                f"Expected a folder with the classifier of round {number - 1}, on which FGSM"
                f"{number} is crafted. Received: {folder} with rounds {kept_rounds(folder)}."
            )
        z = perturb(load_classifier(path), FGSM(threat), x, y)
        results += [_cell(name, f"fgsm{number}", one, z, y) for name, one in defenses.items()]
    return results


def rounds_matrix(
    folder: str, rounds: int, threat: ThreatModel, dataset: Dataset, count: int = 0
) -> list[dict[str, Any]]:
    """Measures Adv FGSM k under no attack, FGSM 1, 2, `rounds` and FGSM-curr (rows of Table 3).

    Args:
      folder, threat, dataset, count: see `replay`.
      rounds: number of rounds of the game.

    Returns:
      A list of dicts as of `replay`.
    """
    x, y = dataset.test(count)
    defenses = {
        "no_defense" if number == 0 else f"adv_fgsm{number}": load_classifier(
            round_path(folder, number)
        )
        for number in shown_rounds(rounds)
    }
    numbers = sorted({1, 2, rounds} & set(range(1, rounds + 1)))
    results = [_cell(name, "none", model, x, y) for name, model in defenses.items()]
    results += replay(defenses, folder, numbers, threat, dataset, count)
    for name, model in defenses.items():
        results.append(_cell(name, "fgsm_curr", model, perturb(model, FGSM(threat), x, y), y))
    return results


def _cell(defense: str, attack: str, classifier: Any, z: Any, y: Any) -> dict[str, Any]:
    return Result(attack, misclassified(classifier, z, y), defense=defense).to_dict()
