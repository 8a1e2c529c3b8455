"""The paper's claims as checks over records: each holds, does not hold, or is undecided."""

import dataclasses
import functools
import math
from collections.abc import Callable

from mmtf.reproduction.estimates import (
    FAILS,
    HOLDS,
    MISSING,
    UNDECIDED,
    difference,
    smaller,
    together,
    within,
)
from mmtf.reproduction.tables import paper_table
from mmtf.reproduction.views import reported_view

# The levels that the claims' words leave open.
REPAIRED = 0.02  # "back to the level (1-2%) before attack", Section 3.1, of MNIST
SAME = 0.01  # "different values", "comparable"
SIMILAR = 0.05
HARDENED_FROM = 0.2  # AttNet incurs "significant error" on hardened MNIST classifiers from here on
ATTNETS = ("attnet_paper_curr", "attnet_curr")  # the paper's network; the U-Net, beyond it


@dataclasses.dataclass(frozen=True)
class Check:
    """Attributes:
    text: with the figures.
    verdict: one of `estimates`' four.
    beyond: it goes beyond what the paper claims and does not count.
    """

    text: str
    verdict: str
    beyond: bool = False


@dataclasses.dataclass(frozen=True)
class Claim:
    """Attributes:
    number: as in docs/claims.md.
    text: what is claimed.
    tables: of the paper, by which it is judged (figures 2 and 5 for claim 9).
    checks: checks(view) -> list of Check.
    """

    number: int
    text: str
    tables: tuple[int, ...]
    checks: Callable

    def verdict(self, checks: list[Check]) -> str:
        return together([check.verdict for check in checks if not check.beyond])


def compare(view, low, high, beyond=False) -> Check:
    """Whether the first (defence, attack) has the smaller error."""
    a, b = view.find(*low), view.find(*high)
    text = f"{_name(*low)} {_show(a)} < {_name(*high)} {_show(b)}{_by(b, a)}"
    return Check(text, smaller(a, b), beyond)


def _fgsm_breaks(view):
    check = _half_of_reported(view, "no_defense", "fgsm_curr")
    if check is None:  # not a radius or dataset of the paper
        return [compare(view, ("no_defense", "none"), ("no_defense", "fgsm_curr"))]
    return [check]


def _training_repairs(view):
    """For CIFAR-10 the paper claims lower errors alone (Table 7)."""
    checks = [compare(view, ("adv_fgsm1", "fgsm1"), ("no_defense", "fgsm1"))]
    if view.dataset != "cifar10":
        error = view.find("adv_fgsm1", "fgsm1")
        text = f"adv_fgsm1 under fgsm1 {_show(error)} <= {REPAIRED}, the paper's level before it"
        checks.append(Check(text, _inside(error, 0.0, REPAIRED)))
    return checks


def _next_attack_wins(view):
    return [
        compare(view, ("adv_fgsm1", "fgsm1"), ("adv_fgsm1", "fgsm2")),
        compare(view, ("adv_fgsm2", "fgsm2"), ("adv_fgsm2", "fgsm_curr")),
    ]


def _rounds_harden(view):
    last = f"adv_fgsm{view.last}"
    return [
        compare(view, (last, "fgsm_curr"), ("adv_fgsm1", "fgsm_curr")),
        compare(view, (last, "fgsm_curr"), ("adv_fgsm2", "fgsm_curr")),
        _compare_worst(view, last, "no_defense"),
    ]


def _minimax_grad_first(view):
    others = ("no_defense", "adv_fgsm1", "adv_fgsm2", f"adv_fgsm{view.last}", "lwa")
    checks = [_compare_worst(view, "minimax_grad", other) for other in others]
    attack = "autoattack_curr"
    beyond = [
        compare(view, ("minimax_grad", attack), (other, attack), beyond=True)
        for other in others
        if view.find(other, attack)
    ]
    return checks + beyond


def _lwa_close(view):
    """Who is ahead is claim 5's."""
    ours, lwa = view.worst("minimax_grad"), view.worst("lwa")
    gap = _largest_gap("cifar10" if view.dataset == "cifar10" else "mnist")
    verdict = within(difference(lwa, ours), -1.0, gap) if ours and lwa else MISSING
    text = f"worst of lwa {_show(lwa)} - worst of minimax_grad {_show(ours)}"
    return [Check(f"{text} <= {gap:.3f}, the paper's own largest{_by(lwa, ours)}", verdict)]


@functools.cache
def _largest_gap(dataset):
    """LWA's worst minus Minimax-Grad's in the paper's tables, at the radius where it is largest."""
    number = {"mnist": 3, "cifar10": 8}[dataset]
    views = [reported_view(dataset, eta) for eta in paper_table(number).etas]
    return max(view.worst("lwa").mean - view.worst("minimax_grad").mean for view in views)


def _attnet_beats_hardened(view):
    """ "better than or comparable to FGSM"; of the hardened ones on MNIST, a significant error."""
    checks = []
    for attack in ATTNETS:
        for defense in ("adv_fgsm1", f"adv_fgsm{view.last}", "minimax_grad"):
            attnet, fgsm = view.find(defense, attack), view.find(defense, "fgsm_curr")
            verdict = within(difference(attnet, fgsm), -SAME, 1.0) if attnet and fgsm else MISSING
            text = f"{_name(defense, attack)} {_show(attnet)} >= fgsm_curr {_show(fgsm)} - {SAME}"
            beyond = attack == "attnet_curr"
            checks.append(Check(text + _by(attnet, fgsm), verdict, beyond))
    if view.dataset != "cifar10" and view.eta >= HARDENED_FROM:
        for defense in (f"adv_fgsm{view.last}", "minimax_grad"):
            check = _half_of_reported(view, defense, "attnet_paper_curr")
            checks += [check] if check else []
    return checks


def _network_games_resist(view):
    checks = []
    for attack in ATTNETS:
        pairs = [(game, "minimax_grad") for game in ("minimax_attnet", "alt_attnet")]
        if view.eta > 0.25:
            pairs.append(("minimax_attnet", "alt_attnet"))
        checks += [
            compare(view, (low, attack), (high, attack), beyond=attack == "attnet_curr")
            for low, high in pairs
        ]
    return checks


def _different_values(view):
    games = ("minimax_attnet", "alt_attnet", "maximin_attnet")
    checks = []
    for a, b in ((games[0], games[1]), (games[0], games[2]), (games[1], games[2])):
        one, other = view.end(a, "attnet_met"), view.end(b, "attnet_met")
        verdict = MISSING
        if one and other:
            _, low, high = difference(one, other)
            apart = low > SAME or high < -SAME
            same = low >= -SAME and high <= SAME
            verdict = HOLDS if apart else FAILS if same else UNDECIDED
        text = f"{a} ends at {_show(one)}, {b} at {_show(other)}, more than {SAME} apart"
        checks.append(Check(text + _by(one, other), verdict))
    return checks


def _cifar_likewise(view):
    """What section 4.4 says of CIFAR-10, in its order; LWA is no "non-minimax" defence there."""
    if view.dataset != "cifar10":
        return []
    others = ("no_defense", "adv_fgsm1", "adv_fgsm2", f"adv_fgsm{view.last}")
    checks = [_compare_worst(view, "minimax_grad", other) for other in others]
    checks += [
        compare(view, (defense, "none"), (defense, "attnet_paper_curr"))
        for defense in ("adv_fgsm1", f"adv_fgsm{view.last}", "minimax_grad")
    ]
    checks.append(compare(view, ("minimax_grad", "fgsm_curr"), ("minimax_attnet", "fgsm_curr")))
    for attack in ("fgsm_curr", "attnet_paper_curr"):
        one, other = view.find("minimax_attnet", attack), view.find("alt_attnet", attack)
        text = f"minimax_attnet {_show(one)} and alt_attnet {_show(other)} within {SIMILAR}"
        verdict = within(difference(one, other), -SIMILAR, SIMILAR) if one and other else MISSING
        checks.append(Check(f"{text} under {attack}{_by(one, other)}", verdict))
    return checks


CLAIMS = (
    Claim(1, "FGSM breaks the undefended net", (1, 3, 6, 8), _fgsm_breaks),
    Claim(2, "adversarial training repairs against the known attack", (2, 7), _training_repairs),
    Claim(3, "Adv FGSM k falls to FGSM k+1", (3, 8), _next_attack_wins),
    Claim(4, "after the last round it is moderately robust", (3, 8), _rounds_harden),
    Claim(5, "Minimax-Grad has the smallest worst", (3, 8), _minimax_grad_first),
    Claim(6, "LWA is close behind", (3, 8), _lwa_close),
    Claim(7, "AttNet beats classifiers hardened against FGSM", (4, 9), _attnet_beats_hardened),
    Claim(
        8,
        "Minimax-AttNet and Alt-AttNet resist AttNet (MNIST: Minimax-AttNet better from eta 0.3)",
        (5, 10),
        _network_games_resist,
    ),
    Claim(9, "Minimax, Alt and Maximin converge to different values", (), _different_values),
    Claim(
        10,
        "CIFAR-10 behaves likewise, except Minimax-AttNet, which falls to FGSM",
        (10,),
        _cifar_likewise,
    ),
)


def _compare_worst(view, low, high):
    a, b = view.worst(low), view.worst(high)
    text = f"worst of {low} {_show(a)} < worst of {high} {_show(b)}{_by(b, a)}"
    return Check(text, smaller(a, b))


def _half_of_reported(view, defense, attack):
    """None where the paper has no such figure."""
    reported = reported_view(view.dataset, view.eta).find(defense, attack)
    if reported is None:
        return None
    error, least = view.find(defense, attack), reported.mean / 2
    text = f"{_name(defense, attack)} {_show(error)} >= {least:.3f}, half of the reported"
    return Check(text, _inside(error, least, 1.0))


def _inside(error, low, high):
    if error is None:
        return MISSING
    return within((error.mean, error.low, error.high), low, high if high < 1 else math.inf)


def _name(defense, attack):
    return f"{defense} under {attack}"


def _by(a, b):
    """The difference that decides, where both are measured."""
    if a is None or b is None or not a.n or not b.n:
        return ""
    gap, low, high = difference(a, b)
    return f" (difference {gap:+.4f} [{low:+.4f}, {high:+.4f}])"


def _show(one):
    if one is None:
        return "(not measured)"
    return f"{one.mean:.3f}" if not one.n else str(one)
