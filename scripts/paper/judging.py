"""Verdicts on every claim at every radius, by the records and by the paper's own numbers."""

import dataclasses
import functools

from mmtf.stats.estimates import MISSING
from scripts.paper.cells import Track
from scripts.paper.checks import Check
from scripts.paper.claims import CLAIMS, Claim
from scripts.paper.records import Results
from scripts.paper.selection import CIFAR10, MNIST
from scripts.paper.views import measured_view, reported_view


@dataclasses.dataclass(frozen=True)
class Judgment:
    """The verdict on a claim at one radius.

    Attributes:
      eta: the radius.
      verdict: verdict by the records.
      checks: checks behind it; empty if the claim is not about the dataset.
      paper: verdict by the paper's own numbers.
    """

    eta: float
    verdict: str
    checks: list[Check]
    paper: str


def etas_of(track: Track) -> tuple[float, ...]:
    """Returns the paper's radii for the track's dataset."""
    return CIFAR10 if track.dataset == "cifar10" else MNIST


def judge(results: Results, track: Track) -> dict[Claim, list[Judgment]]:
    """Tests every claim at every radius of the track's dataset."""
    found: dict[Claim, list[Judgment]] = {}
    for eta in etas_of(track):
        view = measured_view(results, track, eta)
        for claim in CLAIMS:
            checks = claim.checks(view)
            paper = claim.verdict(paper_checks(claim, track.dataset, eta))
            one = Judgment(eta, claim.verdict(checks), checks, paper)
            found.setdefault(claim, []).append(one)
    return found


@functools.cache
def paper_checks(claim: Claim, dataset: str, eta: float) -> list[Check]:
    """Returns the counted checks of a claim by the paper's own numbers."""
    return [check for check in claim.checks(reported_view(dataset, eta)) if not check.beyond]


def by_radius(verdicts: dict[float, str]) -> str:
    """Formats verdicts, each with its radii.

    Example:
      >>> by_radius({0.1: "holds", 0.2: "undecided", 0.3: "holds"})
      'holds at 0.1, 0.3; undecided at 0.2'
    """
    found: dict[str, list[str]] = {}
    for eta, verdict in verdicts.items():
        found.setdefault(verdict, []).append(f"{eta:g}")
    if set(found) <= {MISSING}:
        return MISSING
    order = sorted(found, key=lambda verdict: verdict == MISSING)
    return "; ".join(f"{verdict} at {', '.join(found[verdict])}" for verdict in order)


def of_dataset(judgments: list[Judgment]) -> str:
    """Formats verdicts with their radii; a dash if the claim is about another dataset."""
    if not judgments[0].checks:
        return "-"
    return by_radius({one.eta: one.verdict for one in judgments})
