"""The columns of a payoff matrix: what is made of attack names at one radius."""

import inspect
from collections.abc import Sequence

from mmtf.attacks import ATTACKS
from mmtf.attacks.base import Attack
from mmtf.attacks.eot import ExpectationOverTransformation
from mmtf.attacks.transfer import Transfer
from mmtf.classifiers.loading import Defense, digest_of
from mmtf.errors import ConfigError, require
from mmtf.evaluation.best_response import FittedAttNet
from mmtf.evaluation.fitted import FittedAttack
from mmtf.evaluation.fitted_universal import FittedUniversal
from mmtf.threat import ThreatModel

UNIVERSAL = "universal"
# By name: they draw on no gradient of the classifier.
WITHOUT_GRADIENT = ("none", "square")


def columns_of(
    attacks: dict[str, dict],
    threat: ThreatModel,
    *,
    recipes: dict,
    sources: Sequence[Defense],
    eot_samples: int,
    seed: int,
    cache_dir: str | None,
) -> dict[str, Attack | FittedAttack]:
    """Column name -> attack, or what fits one.

    Args:
      attacks: name of `ATTACKS`, of `recipes` or `universal` -> its options.
      threat: the ball and the box.
      recipes: AttNetRecipes by name.
      sources: classifiers on which each gradient attack is also made: the columns
        `<attack>@<source>`.
      eot_samples: calls of the victim that a gradient attack averages (EOT); 1: a single one.
        Sources are not averaged. Transferred and averaged attacks do not stop early, from one
        start, where they have the choice.
      seed, cache_dir: of what is fitted.
    """
    require(eot_samples > 0, "eot_samples > 0", eot_samples)
    made: dict[str, Attack | FittedAttack] = {}
    for name, options in attacks.items():
        if name in recipes:
            made[name] = FittedAttNet(threat, recipes[name], seed=seed, cache_dir=cache_dir)
        elif name == UNIVERSAL:
            made[name] = FittedUniversal(threat, **options, seed=seed, cache_dir=cache_dir)
        else:
            made[name] = ATTACKS[name](threat, **options)
    by_gradient = {
        name: _going_on(name, threat, attacks[name])
        for name, one in made.items()
        if name not in WITHOUT_GRADIENT and not isinstance(one, FittedAttack)
    }
    if not by_gradient and (sources or eot_samples > 1):
        raise ConfigError(
            f"Expected an attack by gradients to transfer or to average. Received: "
            f"{', '.join(attacks)}."
        )
    if eot_samples > 1:
        for name, one in by_gradient.items():
            made[name] = ExpectationOverTransformation(one, samples=eot_samples)
    for source in sources:
        for name, one in by_gradient.items():
            made[f"{name}@{source.name}"] = Transfer(source.classifier, one)
    return made


def _going_on(name, threat, options):
    """The attack, made to go on behind the boundary where it can: one lucky draw, or the boundary
    of another classifier, is no place to stop."""
    kind = ATTACKS[name]
    if "stop_early" in inspect.signature(kind).parameters:
        options = {**options, "stop_early": False}
        options.pop("restarts", None)
    return kind(threat, **options)


def identity_of(attack) -> str:
    """What decides the images of a column: its arguments, and a source's weights."""
    if isinstance(attack, Transfer):
        return f"Transfer({digest_of(attack.source)}, {attack.attack!r})"
    return repr(attack)
