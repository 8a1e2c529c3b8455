"""Unions of balls: the attacks that run in each, and what certificates in all of them prove."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mmtf.attacks import ATTACKS
from mmtf.attacks.base import Attack
from mmtf.bounds.certificates import Certificates
from mmtf.config import NORMS
from mmtf.errors import require
from mmtf.evaluation.attack_specs import make_attacks
from mmtf.evaluation.fitted import FittedAttack
from mmtf.radius import Radius, radius_entry, radius_text
from mmtf.threat import ThreatModel

CLEAN = "none"


def balls_of(
    etas: Sequence[Radius], norm: str, others: Mapping[str, Sequence[float]] | None = None
) -> dict[float | str, list[ThreatModel]]:
    """The balls of each column of radii: that of `norm` first, then those of `others`.

    Args:
      etas: radii of `norm`.
      norm: of the first ball.
      others: norm -> radii, one for all `etas` or as many as these, in their order.

    Returns:
      Radius (`radius_entry`) -> the ThreatModels.

    Raises:
      ConfigError: a radius or norm is not possible, the numbers of radii differ, or two radii have
        one text, by which tables tell their columns apart.

    Example:
      >>> [ball.norm for ball in balls_of([0.3], "linf", {"l2": [3.0]})[0.3]]
      ['linf', 'l2']
    """
    found = {radius_entry(eta): [ThreatModel(eta=eta, norm=norm)] for eta in etas}
    wanted = "radii of different texts, which name their columns"
    require(len(found) == len(etas), wanted, [radius_text(eta) for eta in etas])
    require(isinstance(others or {}, Mapping), "others as a dict, norm -> radii", others)
    for other, radii in (others or {}).items():
        require(other != norm, f"other norms than {norm} beside it", other)
        require(isinstance(radii, list | tuple), f"{other} radii as a list", radii)
        count = len(found)
        fits = len(radii) in (1, count)
        require(fits, f"one {other} radius, or one for each of {count} radii", len(radii))
        radii = list(radii) * (count if len(radii) == 1 else 1)
        for balls, eta in zip(found.values(), radii, strict=True):
            balls.append(ThreatModel(eta=eta, norm=other))
    return found


def make_attacks_in(
    balls: Sequence[ThreatModel], attacks: Mapping[str, Mapping[str, Any]], **options: Any
) -> dict[str, Attack | FittedAttack]:
    """Builds the attacks of a table, each in every ball of a union whose norm it supports.

    Args:
      balls: of `balls_of`.
      attacks: name -> options.
      **options: of `make_attacks`.

    Returns:
      Column name -> attack. In another ball than the first the name ends in the norm: `pgd_l2`.
      `none` is there once.

    Raises:
      ConfigError: an attack supports none of the norms; or as `make_attacks`.

    Example:
      >>> balls = balls_of([0.3], "linf", {"l2": [3.0]})[0.3]
      >>> list(make_attacks_in(balls, {"none": {}, "fgsm": {}, "pgd": {}}))
      ['none', 'fgsm', 'pgd', 'pgd_l2']
    """
    if len(balls) == 1:
        return make_attacks(attacks, balls[0], **options)  # says so if it has another norm
    for name in attacks:
        norms = ", ".join(ball.norm for ball in balls)
        runs = any(_runs_in(name, ball) for ball in balls)
        require(runs, f"an attack for one of the norms {norms}", name)
    made: dict[str, Attack | FittedAttack] = {}
    for ball in balls:
        here = {
            name: given
            for name, given in attacks.items()
            if _runs_in(name, ball) and not (name == CLEAN and CLEAN in made)
        }
        for name, one in make_attacks(here, ball, **options).items() if here else ():
            first = ball is balls[0] or name == CLEAN
            made[name if first else f"{name}_{ball.norm}"] = one
    return made


def _runs_in(name: str, ball: ThreatModel) -> bool:
    known = name in ATTACKS or ":" in name  # the others are attack networks
    return ball.norm in getattr(ATTACKS[name] if known else None, "norms", NORMS)


def union(parts: Sequence[Certificates], verifiers: Sequence[str]) -> Certificates:
    """What certificates in several balls around the same examples prove about their union.

    An example is `certified` if it is in every ball, `broken` if it is in any. Its stage is the
    latest of the verifiers that were needed, or the one that broke it; its margin the least, its
    seconds the sum over the balls.

    Args:
      parts: of the same N examples, one for each ball.
      verifiers: in the order in which they ran.
    """
    if len(parts) == 1:
        return parts[0]
    statuses = np.stack([one.status for one in parts])
    stages = np.stack([one.stage for one in parts])
    wrong, broken = (statuses == "wrong").any(0), (statuses == "broken").any(0)
    certified = (statuses == "certified").all(0)
    status = np.select([wrong, broken, certified], ["wrong", "broken", "certified"], "open")
    rank = {name: place for place, name in enumerate(verifiers)}
    last = [max(column, key=lambda name: rank.get(name, -1)) for column in stages.T.tolist()]
    breaker = stages[(statuses == "broken").argmax(0), np.arange(len(status))]
    stage = np.select([wrong, broken, certified], ["none", breaker, np.array(last)], "")
    return Certificates(
        status.astype(parts[0].status.dtype),
        stage.astype(parts[0].stage.dtype),
        np.min([one.margin for one in parts], axis=0),
        np.sum([one.seconds for one in parts], axis=0),
        max(one.required for one in parts),
    )
