"""Attacks that are functions of (x, y): the pure strategies of an attacker who moves at once."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmtf.attacks.attack_network import LearnedAttack
from mmtf.attacks.base import Attack
from mmtf.attacks.iterated import IteratedAttack
from mmtf.attacks.transfer import Transfer
from mmtf.classifiers.classifier import Classifier
from mmtf.classifiers.loading import load_keras
from mmtf.data.dataset import Dataset
from mmtf.errors import ConfigError, require, require_choice, require_names
from mmtf.evaluation.attack_specs import make_attacks
from mmtf.evaluation.best_response import AttNetRecipe
from mmtf.evaluation.fitted import FittedAttack
from mmtf.threat import ThreatModel

NOT_SIMULTANEOUS = (
    "a white-box attack recomputed for each row is a best response (leader-follower), not a "
    "simultaneous strategy"
)
EVERY = "*"


def require_frozen(name: str, attack: Any) -> None:
    """Raises ConfigError unless an attack's images do not depend on the classifier in the row.

    Args:
      name: of the column.
      attack: an Attack that never queries the classifier under attack: `mmtf.attacks.Transfer`,
        `LearnedAttack`, `UniversalPerturbation`, `NoAttack`.
    """
    if not isinstance(attack, Attack) or attack.queries_model:
        raise ConfigError(
            "Expected an attack that is a function of (x, y): an attack network, an attack frozen "
            f"on a stored net ({_attack_of(name)}@NET), or a universal perturbation. Received: "
            f"{name}; {NOT_SIMULTANEOUS}."
        )


def column_names(attacks: Sequence[str], models: Sequence[str]) -> list[str]:
    """Expands `ATTACK@*` to a column for each model, and checks the names.

    Args:
      attacks: `none`, `ATTACK@MODEL` or `ATTACK@*`.
      models: names of the nets on which attacks can be frozen.

    Raises:
      ConfigError: an attack without @MODEL, an unknown model, or a column twice.

    Example:
      >>> column_names(["none", "pgd@*"], ["plain", "lwa"])
      ['none', 'pgd@plain', 'pgd@lwa']
    """
    found = []
    for given in attacks:
        attack, at, model = given.rpartition("@")
        if given == "none":
            found.append(given)
            continue
        if not at:
            require_frozen(given, None)
        if model != EVERY:
            require_choice(f"the net of {given}", model, models)
        found += [f"{attack}@{one}" for one in (models if model == EVERY else [model])]
    require_names("attacks", found)
    return found


def frozen_attacks(
    columns: Sequence[str],
    models: Mapping[str, Classifier],
    threat: ThreatModel,
    dataset: Dataset,
    *,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    recipes: Mapping[str, AttNetRecipe] | None = None,
    seed: int = 0,
    cache_dir: str | None = None,
    progress: bool = False,
) -> dict[str, Attack]:
    """Makes the attacks of columns such as `pgd@lwa`.

    Args:
      columns: as `column_names` returns them. The attack is one of
        `mmtf.evaluation.attack_specs.make_attacks`: a gradient-based one is computed on the net; an
        attack network or a universal perturbation is fitted to it on the training split.
      models: name -> net.
      threat: the ball and the box.
      dataset: its training split is used by attacks that are fitted.
      options: name of an attack -> options of its constructor.
      recipes, seed, cache_dir, progress: see `make_attacks`.

    Returns:
      Column -> attack, a function of (x, y).

    Raises:
      ConfigError: see `make_attacks`.
    """
    found: dict[str, Attack] = {}
    for column in columns:
        attack, _, model = column.rpartition("@")
        attack = attack or column
        own = {attack: dict((options or {}).get(attack, {}))}
        given: dict[str, Any] = {"seed": seed, "cache_dir": cache_dir, "progress": progress}
        made = make_attacks(own, threat, recipes=recipes, **given)
        one = next(iter(made.values()))
        if isinstance(one, FittedAttack):
            one.supports(models[model], dataset.train(1)[0])
            one = one.fit(models[model], dataset)
        elif one.queries_model:
            sources = {model: models[model]}
            made = make_attacks(own, threat, recipes=recipes, sources=sources, **given)
            one = next(own for name, own in made.items() if name.endswith(f"@{model}"))
            if isinstance(one, Transfer) and isinstance(one.attack, IteratedAttack):
                # Step by step: all steps as one graph take seconds to trace.
                one.attack.compiles_itself = True
        require_frozen(column, one)
        assert isinstance(one, Attack)
        found[column] = one
    return found


def load_attack_network(path: str, threat: ThreatModel, dataset: Dataset) -> LearnedAttack:
    """Loads an attack network from a .keras file, as `mmtf.run` leaves in a workdir.

    Args:
      path: of the file; its custom layers are those of `mmtf.nets`.
      threat: the ball and the box that its images must satisfy.
      dataset: its images are those of the network.

    Raises:
      ConfigError: the file cannot be loaded, or is no network of [images, labels].
    """
    network = load_keras(path)
    inputs = getattr(network, "inputs", None) or []
    fits = len(inputs) == 2 and tuple(inputs[0].shape[1:]) == dataset.image_shape
    require(fits, f"an attack network of [images {dataset.image_shape}, labels]", path)
    return LearnedAttack(threat, network)


def _attack_of(name: str) -> str:
    return name.partition("@")[0]
