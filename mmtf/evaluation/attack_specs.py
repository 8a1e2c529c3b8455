"""Builds attacks from their names and options; every evaluation goes through `make_attacks`."""

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
from mmtf.errors import ConfigError, require, require_int
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
# Attacks without gradients of the classifier: EOT and transfer do not apply to them.
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
    """Builds the attacks of a table, by the name of their column.

    Args:
      attacks: name -> options. A name is one of

        - a key of `mmtf.attacks.ATTACKS`;
        - `my_package.attacks:MyAttack`, an importable Attack or FittedAttack, which is called as
          MyAttack(threat, **options); its column is `my_attack`;
        - a key of `recipes`: an attack network trained against each classifier;
        - `universal`: a universal perturbation fitted to each classifier on training images;
        - `attnet_met`: the network `attacker`.
      threat: the ball and the box.
      recipes: name -> recipe; None: `attnet`, the strongest recipe, and `attnet_paper`, the
        paper's recipe shortened to 1,500 steps.
      attacker: the attack network trained by a game; required for `attnet_met`.
      sources: name -> surrogate model. Every gradient-based attack is also crafted on each
        surrogate, in the column `<attack>@<name>`.
      eot_samples: number of stochastic forward passes that a gradient-based attack averages
        (expectation over transformation, EOT); 1: a single pass. Surrogates are not averaged.
        Attacks that are transferred or averaged run without early stopping and with the default
        number of restarts, if they have these options.
      seed: for attacks that are fitted.
      cache_dir: folder in which fitted attacks are stored; None: they are not stored.
      progress: whether fitting shows its progress on stderr.

    Returns:
      Column name -> an Attack, or a FittedAttack, which yields an Attack for each classifier.

    Raises:
      ConfigError: unknown name or option; `attnet_met` without `attacker`; or `sources` or
        `eot_samples` > 1 without any gradient-based attack.

    Example:
      >>> made = make_attacks({"none": {}, "pgd": {"steps": 5}}, ThreatModel(eta=0.3))
      >>> made["pgd"].steps
      5
    """
    require_int("eot_samples", eot_samples)
    require(isinstance(attacks, Mapping), "attacks as a dict, name -> options", attacks)
    for name, options in attacks.items():
        require(isinstance(options, Mapping), f"the options of {name} as a dict", options)
    recipes = RECIPES if recipes is None else recipes
    sources = sources or {}
    made: dict[str, Attack | FittedAttack] = {}
    for name, options in attacks.items():
        known = {"recipe"} if name == UNIVERSAL else set()
        if name in (MET, UNIVERSAL, *recipes):
            told = f"{name} with the option recipe alone" if known else f"{name} without options"
            require(set(options) <= known, told, dict(options))
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
            made[ATTACKS.label(name)] = _made(name, threat, options)
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


def _made(name, threat, options):
    kind = ATTACKS[name]
    try:
        inspect.signature(kind).bind(threat, **options)
    except TypeError as error:
        raise ConfigError(
            f"Expected options of {name}. Received: {dict(options)} ({error})."
        ) from error
    return kind(threat, **options)


def _going_on(kind, threat, options):
    """Makes an attack that does not stop early, if it has that option.

    Success on a single stochastic draw, or on a surrogate, does not show success on the target.
    """
    if "stop_early" in inspect.signature(kind).parameters:
        options = {**options, "stop_early": False}
        options.pop("restarts", None)
    return kind(threat, **options)
