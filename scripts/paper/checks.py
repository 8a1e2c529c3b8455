"""What claims are made of: comparisons of two measured errors, told with their numbers."""

import dataclasses
import functools
import math
from collections.abc import Callable

from mmtf.stats.estimates import MISSING, Estimate, difference, smaller, within
from scripts.paper.views import View, reported_view

SAME = 0.01  # "different values", "comparable": errors closer than this count as equal


@dataclasses.dataclass(frozen=True)
class Check:
    """Attributes:
    text: with the numbers.
    judge: judge(checks=1) -> verdict, one of `estimates`; of several `checks` at the level at which
      all of them are right together in 95 %.
    beyond: it goes beyond what the paper claims and does not count.
    """

    text: str
    judge: Callable[..., str]
    beyond: bool = False

    @property
    def verdict(self) -> str:
        """By itself."""
        return self.judge()


@dataclasses.dataclass(frozen=True)
class Error:
    """A measured error by its name, `value` None where there is no record."""

    name: str
    value: Estimate | None

    def __str__(self) -> str:
        if self.value is None:
            return f"{self.name} (not measured)"
        return f"{self.name} {self.value if self.value.n else f'{self.value.mean:.3f}'}"


def error(view: View, defense: str, attack: str, name: str | None = None) -> Error:
    """The error of `defense` under `attack`, which `worst` may be; `name` in place of both."""
    if attack == "worst":
        return Error(name or f"worst of {defense}", view.worst(defense))
    return Error(name or f"{defense} under {attack}", view.find(defense, attack))


def less(a: Error, b: Error, beyond: bool = False) -> Check:
    """Whether a < b."""
    text = f"{a} < {b}{decider(b, a)}"
    return Check(text, functools.partial(smaller, a.value, b.value), beyond)


def gap_within(
    a: Error, b: Error, low: float, high: float, text: str, beyond: bool = False
) -> Check:
    """Whether low <= a - b <= high."""

    def judge(checks: int = 1) -> str:
        if a.value is None or b.value is None:
            return MISSING
        return within(difference(a.value, b.value, checks), low, high)

    return Check(text + decider(a, b), judge, beyond)


def at_most(a: Error, high: float, why: str) -> Check:
    """Whether a <= high."""

    def judge(checks: int = 1) -> str:
        if a.value is None:
            return MISSING
        return within((a.value.mean, *a.value.interval(checks)), -math.inf, high)

    return Check(f"{a} <= {why}", judge)


def decider(a: Error, b: Error) -> str:
    """The difference a - b in words, where both are measured."""
    if a.value is None or b.value is None or not a.value.n or not b.value.n:
        return ""
    gap, low, high = difference(a.value, b.value)
    return f" (difference {gap:+.4f} [{low:+.4f}, {high:+.4f}])"


def half_of_reported(view: View, defense: str, attack: str) -> list[Check]:
    """Whether the attack adds at least half of what it adds to the clean error in the paper.

    Empty where the paper does not have both errors.
    """
    paper = reported_view(view.dataset, view.eta)
    reported, before = paper.find(defense, attack), paper.find(defense, "none")
    if reported is None or before is None:
        return []
    found, clean = error(view, defense, attack), error(view, defense, "none", "no attack")
    least = (reported.mean - before.mean) / 2
    text = f"{found} - {clean} >= {least:.3f}, half of the reported"
    return [gap_within(found, clean, least, math.inf, text)]


def twice_reported(view: View, defense: str, attack: str) -> list[Check]:
    """Whether the attack adds at most twice what it adds to the clean error in the paper.

    Where the paper has no clean error, of the error itself; empty where it has no error, and where
    twice of it says nothing.
    """
    paper = reported_view(view.dataset, view.eta)
    reported, before = error(paper, defense, attack).value, paper.find(defense, "none")
    if reported is None or reported.mean >= 0.5:
        return []
    found, clean = error(view, defense, attack), error(view, defense, "none", "no attack")
    if before is None:
        most = 2 * reported.mean
        return [at_most(found, most, f"{most:.3f}, twice the reported")]
    most = max(SAME, 2 * (reported.mean - before.mean))
    text = f"{found} - {clean} <= {most:.3f}, twice the reported"
    return [
        gap_within(found, clean, -math.inf, most, text + f" or {SAME}" * (most == SAME)),
    ]
