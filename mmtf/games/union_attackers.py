"""The attackers of the union game: attacks that are computed and networks that learn, by name."""

import dataclasses
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from mmtf.attacks import ATTACKS
from mmtf.attacks.base import Attack
from mmtf.config import NORMS
from mmtf.errors import ConfigError, require
from mmtf.games.base import training_pgd
from mmtf.nets import ATTACK_NETS
from mmtf.registry import imported, is_place
from mmtf.threat import ThreatModel


@dataclasses.dataclass(frozen=True)
class Attacker:
    """An attacker of the union game.

    Attributes:
      name: in tables and metrics: that of an attack of `mmtf.attacks.ATTACKS` or of a network of
        `mmtf.nets.ATTACK_NETS`, with the norm of its ball where it was given, as `pgd_l2`.
      kind: the name in its registry.
      threat: its ball and the box.
      learned: whether it is a network that learns.
    """

    name: str
    kind: str
    threat: ThreatModel
    learned: bool

    def training_attack(self, steps: int) -> Attack:
        """The attack of the inner maximization of training; for a computed attacker.

        Args:
          steps: of attacks that take several, > 0.
        """
        if self.kind == "pgd":
            return training_pgd(self.threat, steps)
        attack = ATTACKS[self.kind]
        takes = inspect.signature(attack).parameters
        options = {"steps": steps, "stop_early": False}
        return attack(self.threat, **{name: options[name] for name in options if name in takes})


def split_name(name: str) -> tuple[str, str | None]:
    """(name of an attack or network, norm of its ball or None) of an attacker's name.

    Example:
      >>> split_name("pgd_l2"), split_name("unet"), split_name("carlini_wagner")
      (('pgd', 'l2'), ('unet', None), ('carlini_wagner', None))
    """
    kind, _, norm = name.rpartition("_")
    if norm in NORMS and not is_place(name):
        return kind, norm
    return name, None


def attacker_names(attackers: str | Sequence[str]) -> list[str]:
    """The names of attackers given as a list, or as a text with commas.

    Raises:
      ConfigError: there are none, or one is not text or is given twice.

    Example:
      >>> attacker_names("fgsm,pgd_l2")
      ['fgsm', 'pgd_l2']
    """
    names = attackers.split(",") if isinstance(attackers, str) else attackers
    wanted = "attackers of different names, as 'fgsm,pgd_l2,unet'"
    right = isinstance(names, list | tuple) and all(isinstance(one, str) and one for one in names)
    require(right and 0 < len(set(names)) == len(names), wanted, attackers)
    return list(names)


def make_attackers(
    attackers: str | Sequence[str], balls: Mapping[str, ThreatModel | None]
) -> list[Attacker]:
    """The attackers by their names, each in its own ball.

    A name may end in `_linf`, `_l2` or `_l1`, the norm of the ball. Without it, a network has the
    l-infinity ball, and an attack the first of the balls that it supports: `fgm` the l2 ball.

    Args:
      attackers: see `attacker_names`.
      balls: norm -> the ball, None where its radius is not given.

    Raises:
      ConfigError: an unknown name, a norm that the attack does not support, a ball without a
        radius, or an attack that has to be fitted.

    Example:
      >>> balls = {"linf": ThreatModel(eta=0.3), "l2": ThreatModel(eta=3.0, norm="l2")}
      >>> [(one.name, one.learned) for one in make_attackers("pgd_l2,unet", balls)]
      [('pgd_l2', False), ('unet', True)]
    """
    made = [_made(name, balls) for name in attacker_names(attackers)]
    names = [one.name for one in made]
    require(len(set(names)) == len(names), "attackers of different names", ",".join(names))
    return made


def _made(name: str, balls: Mapping[str, ThreatModel | None]) -> Attacker:
    kind, norm = split_name(name)
    learned = _is_network(kind, name)
    norms = NORMS if learned else ATTACKS[kind].norms
    norm = norm or norms[0]
    if norm not in norms:
        raise ConfigError(
            f"Expected {kind} in a ball of the norm {' or '.join(norms)}. Received: {name}."
        )
    threat = balls.get(norm)
    if threat is None:
        raise ConfigError(f"Expected eta_{norm} for the attacker {name}. Received: None.")
    return Attacker(ATTACKS.label(name), kind, threat, learned)


def _is_network(kind: str, name: str) -> bool:
    """Whether `kind` is an attack network, not an attack."""
    if kind in ATTACKS or kind in ATTACK_NETS:
        return kind in ATTACK_NETS
    if not is_place(kind):
        known = ", ".join((*ATTACKS, *ATTACK_NETS))
        raise ConfigError(
            f"Expected attackers of {known}, perhaps with the norm of their ball as pgd_l2; or "
            f"module:attribute. Received: {name}."
        )
    member: Any = imported("attacker", kind)
    if not isinstance(member, type):
        return True
    require(issubclass(member, Attack), f"an Attack or an attack network as attacker {name}", name)
    return False
