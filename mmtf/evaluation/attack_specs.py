"""The one place where attacks are made from their names and options."""

import inspect
from collections.abc import Mapping
from typing import Any

import keras

from mmtf.attacks import ATTACKS
from mmtf.attacks.attack_network import LearnedAttack
from mmtf.attacks.base import Attack
from mmtf.attacks.eot import ExpectationOverTransformation
from mmtf.attacks.transfer import Transfer
from mmtf.classifiers.classifier import as_classifier
from mmtf.errors import ConfigError, require
from mmtf.evaluation.best_response import (
    ATTNET,
    ATTNET_PAPER_FAST,
    AttNetRecipe,
    FittedAttNet,
)
from mmtf.evaluation.fitted import FittedAttack
from mmtf.evaluation.fitted_universal import FittedUniversal
from mmtf.threat import ThreatModel

UNIVERSAL = "universal"
MET = "attnet_met"
RECIPES = {"attnet": ATTNET, "attnet_paper": ATTNET_PAPER_FAST}
# They use no gradient of the classifier: there is nothing to average or to transfer.
WITHOUT_GRADIENT = ("none", "square", MET)


def make_attacks(
    attacks: Mapping[str, Mapping[str, Any]],
    threat: ThreatModel,
    *,
    recipes: Mapping[str, AttNetRecipe] | None = None,
    attacker: keras.Model | None = None,
    sources: Mapping[str, Any] | None = None,
    eot_samples: int = 1,
    seed: int = 0,
    cache_dir: str | None = None,
    progress: bool = True,
) -> dict[str, Attack | FittedAttack]:
    """Column name -> attack, or what fits one to each classifier.

    Args:
      attacks: name -> options. A name is one of

        - `mmtf.attacks.ATTACKS`, or `my_package.attacks:MyAttack`, an Attack or FittedAttack of the
          user's, made as MyAttack(threat, **options), whose column is `my_attack`;
        - `recipes`: an attack network trained against each classifier;
        - `universal`: a universal perturbation of each classifier's training images;
        - `attnet_met`: the network `attacker`.
      threat: the ball and the box.
      recipes: by name; None: `attnet`, the strongest, and `attnet_paper` of 1,500 steps.
      attacker: the attack network that a game has trained.
      sources: name -> surrogate model, on which the adversarial examples of every gradient-based
        attack are also crafted: the columns `<attack>@<name>`.
      eot_samples: calls of the classifier whose mean a gradient-based attack sees (EOT); 1: a
        single call. Surrogates are not averaged. Transferred and averaged attacks neither stop
        early nor restart, where they have the choice.
      seed, cache_dir, progress: for what is fitted.

    Raises:
      ConfigError: an unknown name or option, or nothing to average or to transfer.

    Example:
      >>> made = make_attacks({"none": {}, "pgd": {"steps": 5}}, ThreatModel(eta=0.3))
      >>> made["pgd"].steps
      5
    """
    require(eot_samples > 0, "eot_samples > 0", eot_samples)
    recipes = RECIPES if recipes is None else recipes
    sources = sources or {}
    made: dict[str, Attack | FittedAttack] = {}
    for name, options in attacks.items():
        if name == MET:
            require(attacker is not None, f"a game that trains an attacker, for {MET}", attacker)
            made[name] = LearnedAttack(threat, attacker)
        elif name in recipes:
            made[name] = FittedAttNet(
                threat, recipes[name], seed=seed, cache_dir=cache_dir, progress=progress
            )
        elif name == UNIVERSAL:
            made[name] = FittedUniversal(threat, **options, seed=seed, cache_dir=cache_dir)
        else:
            made[ATTACKS.label(name)] = ATTACKS[name](threat, **options)
    if not sources and eot_samples == 1:
        return made
    by_gradient = {
        ATTACKS.label(name): _going_on(ATTACKS[name], threat, options)
        for name, options in attacks.items()
        if name not in WITHOUT_GRADIENT and isinstance(made[ATTACKS.label(name)], Attack)
    }
    if not by_gradient:
        raise ConfigError(
            "Expected a gradient-based attack to transfer or to average. Received: "
            f"{', '.join(attacks)}."
        )
    if eot_samples > 1:
        for name, one in by_gradient.items():
            made[name] = ExpectationOverTransformation(one, samples=eot_samples)
    for source, model in sources.items():
        for name, one in by_gradient.items():
            made[f"{name}@{source}"] = Transfer(as_classifier(model), one)
    return made


def _going_on(kind, threat, options):
    """The attack without early stopping, where it can: one lucky draw, or the boundary of another
    classifier, is no place to stop."""
    if "stop_early" in inspect.signature(kind).parameters:
        options = {**options, "stop_early": False}
        options.pop("restarts", None)
    return kind(threat, **options)
