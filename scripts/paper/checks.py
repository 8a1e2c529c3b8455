"""Comparisons of measured errors, of which claims consist, with a text that has the numbers."""

import dataclasses
import functools
import math
from collections.abc import Callable

from mmtf.stats.estimates import MISSING, Estimate, difference, smaller, within
from scripts.paper.views import View, reported_view

SAME = 0.01  # "different values", "comparable": errors closer than this count as equal


@dataclasses.dataclass(frozen=True)
class Check:
    """A comparison and the function that decides it.

    Attributes:
      text: the comparison with its numbers.
      judge: judge(checks=1) -> verdict, a constant of `mmtf.stats.estimates`; its intervals hold
        for that number of checks together with 95 %.
      beyond: whether it goes beyond the paper's claim and is not counted.
    """

    text: str
    judge: Callable[..., str]
    beyond: bool = False

    @property
    def verdict(self) -> str:
        """The verdict of this check alone."""
        return self.judge()


@dataclasses.dataclass(frozen=True)
class Error:
    """A named error; `value` is None if it has not been measured."""

    name: str
    value: Estimate | None

    def __str__(self) -> str:
        if self.value is None:
            return f"{self.name} (not measured)"
        return f"{self.name} {self.value if self.value.n else f'{self.value.mean:.3f}'}"


def error(view: View, defense: str, attack: str, name: str | None = None) -> Error:
    """Returns the error of `defense` under `attack` or `worst`, called `name` if that is given."""
    if attack == "worst":
        return Error(name or f"worst of {defense}", view.worst(defense))
    return Error(name or f"{defense} under {attack}", view.find(defense, attack))


def less(a: Error, b: Error, beyond: bool = False) -> Check:
    """Returns the check that a < b."""
    text = f"{a} < {b}{decider(b, a)}"
    return Check(text, functools.partial(smaller, a.value, b.value), beyond)


def gap_within(
    a: Error, b: Error, low: float, high: float, text: str, beyond: bool = False
) -> Check:
    """Returns the check that low <= a - b <= high."""

    def judge(checks: int = 1) -> str:
        if a.value is None or b.value is None:
            return MISSING
        return within(difference(a.value, b.value, checks), low, high)

    return Check(text + decider(a, b), judge, beyond)


def at_most(a: Error, high: float, why: str) -> Check:
    """Returns the check that a <= high."""

    def judge(checks: int = 1) -> str:
        if a.value is None:
            return MISSING
        return within((a.value.mean, *a.value.interval(checks)), -math.inf, high)

    return Check(f"{a} <= {why}", judge)


def decider(a: Error, b: Error) -> str:
    """Returns the difference a - b with its interval as text; "" unless both are measured."""
    if a.value is None or b.value is None or not a.value.n or not b.value.n:
        return ""
    gap, low, high = difference(a.value, b.value)
    return f" (difference {gap:+.4f} [{low:+.4f}, {high:+.4f}])"


def half_of_reported(view: View, defense: str, attack: str) -> list[Check]:
    """Checks that the attack adds to the clean error at least half of what it adds in the paper.

    Returns no check if the paper lacks one of the two errors.
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
    """Checks that the attack adds to the clean error at most twice what it adds in the paper.

    If the paper has no clean error, the errors themselves are compared. Returns no check if the
    paper has no error, or one of at least 0.5, twice of which is no bound.
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
