"""The paper's claims as checks over records: each holds, does not hold, or is undecided."""

import dataclasses
import functools
import math
from collections.abc import Callable

from mmtf.stats.estimates import (
    FAILS,
    HOLDS,
    MISSING,
    UNDECIDED,
    difference,
    largest,
    smaller,
    together,
    within,
)
from scripts.paper.views import reported_view

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
    judge: judge(checks=1) -> verdict, one of `estimates`; of several `checks` at the level at which
      all of them are right together in 95 %.
    beyond: it goes beyond what the paper claims and does not count.
    """

    text: str
    judge: Callable
    beyond: bool = False

    @property
    def verdict(self) -> str:
        """By itself."""
        return self.judge()


@dataclasses.dataclass(frozen=True)
class Claim:
    """Attributes:
    number: as in docs/claims.md.
    text: what is claimed.
    tables: of the paper, by which it is judged (figures 2 and 5 for claim 9).
    checks: checks(view) -> list of Check; none where the claim is not about the view's dataset.
    """

    number: int
    text: str
    tables: tuple[int, ...]
    checks: Callable

    def judged(self, checks: list[Check]) -> list[tuple[Check, str]]:
        """Each check with its verdict.

        One check that fails is enough for the claim to fail, so that of many one would by
        chance: to fail it takes an interval at the level of all that count. To hold takes all of
        them, and for that 95 % each is enough.
        """
        counted = max(1, sum(not check.beyond for check in checks))
        found = []
        for check in checks:
            verdict = check.verdict
            if verdict == FAILS and not check.beyond:
                verdict = check.judge(counted)
            found.append((check, verdict))
        return found

    def verdict(self, checks: list[Check]) -> str:
        return together([verdict for check, verdict in self.judged(checks) if not check.beyond])


def compare(view, low, high, beyond=False) -> Check:
    """Whether the first (defense, attack) has the smaller error."""
    a, b = view.find(*low), view.find(*high)
    text = f"{_name(*low)} {_show(a)} < {_name(*high)} {_show(b)}{_by(b, a)}"
    return Check(text, functools.partial(smaller, a, b), beyond)


def _fgsm_breaks(view):
    check = _half_of_reported(view, "no_defense", "fgsm_curr")
    # The second where it is not a radius or dataset of the paper.
    return check or [compare(view, ("no_defense", "none"), ("no_defense", "fgsm_curr"))]


def _training_repairs(view):
    """For CIFAR-10 the paper claims lower errors alone (Table 7)."""
    checks = [compare(view, ("adv_fgsm1", "fgsm1"), ("no_defense", "fgsm1"))]
    if view.dataset != "cifar10":
        error = view.find("adv_fgsm1", "fgsm1")
        text = f"adv_fgsm1 under fgsm1 {_show(error)} <= {REPAIRED}, the paper's level before it"
        checks.append(Check(text, _at_most(error, REPAIRED)))
    return checks


def _next_attack_wins(view):
    """ "robust to [...] FGSM1, but [...] susceptible to FGSM2", Section 3.4."""
    return [
        compare(view, ("adv_fgsm1", "fgsm1"), ("adv_fgsm1", "fgsm2")),
        *_half_of_reported(view, "adv_fgsm1", "fgsm2"),
        compare(view, ("adv_fgsm2", "fgsm2"), ("adv_fgsm2", "fgsm_curr")),
        *_half_of_reported(view, "adv_fgsm2", "fgsm_curr"),
    ]


def _rounds_harden(view):
    """ "robust to FGSM80 as well as moderately robust to other attacks", Section 3.4."""
    last = f"adv_fgsm{view.last}"
    return [
        *_twice_reported(view, last, "worst"),
        *_twice_reported(view, last, f"fgsm{view.last}"),
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
    """ "the difference is not large", Section 3.4. Who is ahead is claim 5's."""
    ours, lwa = view.worst("minimax_grad"), view.worst("lwa")
    gap = _papers_gap(view.dataset, view.eta)
    text = f"worst of lwa {_show(lwa)} - worst of minimax_grad {_show(ours)}"
    text += f" within {gap:.3f}, twice the paper's own or {SAME}{_by(lwa, ours)}"
    return [Check(text, _gap_within(lwa, ours, -gap, gap))]


def _papers_gap(dataset, eta):
    """Twice that between LWA's worst and Minimax-Grad's in its table, SAME at the least."""
    paper = reported_view(dataset, eta)
    ours, lwa = paper.worst("minimax_grad"), paper.worst("lwa")
    return max(SAME, 2 * abs(lwa.mean - ours.mean)) if ours and lwa else SAME


def _attnet_beats_hardened(view):
    """ "better than or comparable to FGSM"; of the hardened ones on MNIST, a significant error."""
    checks = []
    for attack in ATTNETS:
        for defense in ("adv_fgsm1", f"adv_fgsm{view.last}", "minimax_grad"):
            attnet, fgsm = view.find(defense, attack), view.find(defense, "fgsm_curr")
            text = f"{_name(defense, attack)} {_show(attnet)} >= fgsm_curr {_show(fgsm)} - {SAME}"
            judge = _gap_within(attnet, fgsm, -SAME, math.inf)
            checks.append(Check(text + _by(attnet, fgsm), judge, attack == "attnet_curr"))
    if view.dataset != "cifar10" and view.eta >= HARDENED_FROM:
        for defense in (f"adv_fgsm{view.last}", "minimax_grad"):
            checks += _half_of_reported(view, defense, "attnet_paper_curr")
    return checks


def _network_games_resist(view):
    """ "much more robust than Minimax-Grad against AttNet", Section 4.4, in the paper's measure."""
    checks, games = [], ("minimax_attnet", "alt_attnet")
    for attack in ATTNETS:
        beyond = attack == "attnet_curr"
        if not beyond:
            for game in games:
                checks += _twice_reported(view, game, attack)
        checks += [_more_robust(view, game, attack, beyond) for game in games]
        if view.eta > 0.25:
            checks.append(compare(view, (games[0], attack), (games[1], attack), beyond))
    return checks


def _more_robust(view, game, attack, beyond):
    """Than Minimax-Grad; an attack that may do nothing to Minimax-Grad cannot tell."""
    ours, clean = view.find("minimax_grad", attack), view.find("minimax_grad", "none")
    check = compare(view, (game, attack), ("minimax_grad", attack), beyond)
    harm = _gap_within(ours, clean, SAME, math.inf)()
    if harm in (HOLDS, MISSING) or check.verdict == MISSING:
        return check
    why = f"; undecided: not surely does it take minimax_grad {SAME} beyond its clean error "
    why += _show(clean)
    return Check(check.text + why, lambda checks=1: UNDECIDED, beyond)


def _minimax_attnet_best(view):
    """The caption of Table 5; for CIFAR-10 the paper says that they "perform similarly"."""
    if view.dataset == "cifar10":
        return []
    attacks = ("fgsm_curr", "attnet_paper_curr")
    games = ("minimax_attnet", "alt_attnet", "minimax_grad")
    ours, *others = (largest([view.find(game, attack) for attack in attacks]) for game in games)
    checks = [
        Check(
            f"worst of {games[0]} {_show(ours)} < worst of {game} {_show(other)}{_by(other, ours)}",
            functools.partial(smaller, ours, other),
        )
        for game, other in zip(games[1:], others, strict=True)
    ]
    return checks + _twice_reported(view, games[0], "fgsm_curr")


def _different_values(view):
    games = ("minimax_attnet", "alt_attnet", "maximin_attnet")
    checks = []
    for a, b in ((games[0], games[1]), (games[0], games[2]), (games[1], games[2])):
        one, other = view.end(a, "attnet_met"), view.end(b, "attnet_met")
        text = f"{a} ends at {_show(one)}, {b} at {_show(other)}, more than {SAME} apart"
        checks.append(Check(text + _by(one, other), functools.partial(_apart, one, other)))
    return checks


def _apart(one, other, checks=1):
    if one is None or other is None:
        return MISSING
    _, low, high = difference(one, other, checks)
    if low > SAME or high < -SAME:
        return HOLDS
    return FAILS if low >= -SAME and high <= SAME else UNDECIDED


def _cifar_likewise(view):
    """What section 4.4 says of CIFAR-10, in its order; LWA is a saddle point, not minimax."""
    if view.dataset != "cifar10":
        return []
    others = ("no_defense", "adv_fgsm1", "adv_fgsm2", f"adv_fgsm{view.last}", "lwa")
    checks = [_compare_worst(view, "minimax_grad", other) for other in others]
    for defense in ("adv_fgsm1", f"adv_fgsm{view.last}", "minimax_grad"):
        checks += _half_of_reported(view, defense, "attnet_paper_curr")
    checks.append(compare(view, ("minimax_grad", "fgsm_curr"), ("minimax_attnet", "fgsm_curr")))
    for attack in ("fgsm_curr", "attnet_paper_curr"):
        one, other = view.find("minimax_attnet", attack), view.find("alt_attnet", attack)
        text = f"minimax_attnet {_show(one)} and alt_attnet {_show(other)} within {SIMILAR}"
        judge = _gap_within(one, other, -SIMILAR, SIMILAR)
        checks.append(Check(f"{text} under {attack}{_by(one, other)}", judge))
    return checks


CLAIMS = (
    Claim(1, "FGSM breaks the undefended net", (1, 3, 6, 8), _fgsm_breaks),
    Claim(2, "adversarial training repairs against the known attack", (2, 7), _training_repairs),
    Claim(3, "Adv FGSM k falls to FGSM k+1", (3, 8), _next_attack_wins),
    Claim(4, "after the last round it is moderately robust", (3, 8), _rounds_harden),
    Claim(5, "Minimax-Grad has the smallest worst", (3, 8), _minimax_grad_first),
    Claim(6, "LWA is close to it (who is ahead: claim 5)", (3, 8), _lwa_close),
    Claim(7, "AttNet beats classifiers hardened against FGSM", (4, 9), _attnet_beats_hardened),
    Claim(
        8,
        "Minimax-AttNet and Alt-AttNet resist AttNet, better than Minimax-Grad does (MNIST: "
        "Minimax-AttNet best from eta 0.3)",
        (5, 10),
        _network_games_resist,
    ),
    Claim(9, "Minimax, Alt and Maximin converge to different values", (), _different_values),
    Claim(
        10,
        "CIFAR-10 behaves likewise, except Minimax-AttNet, which falls to FGSM",
        (8, 9, 10),
        _cifar_likewise,
    ),
    Claim(
        11,
        "Minimax-AttNet is the best overall of Table 5, and moderately robust to FGSM",
        (5,),
        _minimax_attnet_best,
    ),
)


def _compare_worst(view, low, high):
    a, b = view.worst(low), view.worst(high)
    text = f"worst of {low} {_show(a)} < worst of {high} {_show(b)}{_by(b, a)}"
    return Check(text, functools.partial(smaller, a, b))


def _half_of_reported(view, defense, attack):
    """What the attack adds to the clean error; empty where the paper has no such figure."""
    paper = reported_view(view.dataset, view.eta)
    reported, before = paper.find(defense, attack), paper.find(defense, "none")
    if reported is None or before is None:
        return []
    error, clean = view.find(defense, attack), view.find(defense, "none")
    least = (reported.mean - before.mean) / 2
    text = f"{_name(defense, attack)} {_show(error)} - no attack {_show(clean)} >= {least:.3f}"
    text += f", half of the reported{_by(error, clean)}"
    return [Check(text, _gap_within(error, clean, least, math.inf))]


def _twice_reported(view, defense, attack):
    """What an attack, or the worst, adds to the clean error; where the paper has no clean error,
    the error itself. Empty where it has no such figure, and where twice of it says nothing.
    """
    found, names = [], (f"worst of {defense}", _name(defense, attack))
    for one in (reported_view(view.dataset, view.eta), view):
        error = one.worst(defense) if attack == "worst" else one.find(defense, attack)
        found.append((error, one.find(defense, "none")))
    (reported, before), (error, clean) = found
    if reported is None or reported.mean >= 0.5:
        return []
    name, most = names[attack != "worst"], 2 * reported.mean
    if before is None:
        text = f"{name} {_show(error)} <= {most:.3f}, twice the reported"
        return [Check(text, _at_most(error, most))]
    most = max(SAME, 2 * (reported.mean - before.mean))
    text = f"{name} {_show(error)} - no attack {_show(clean)} <= {most:.3f}, twice the reported"
    if most == SAME:
        text += f" or {SAME}"
    return [Check(text + _by(error, clean), _gap_within(error, clean, -math.inf, most))]


def _at_most(error, high):
    def judge(checks=1):
        if error is None:
            return MISSING
        return within((error.mean, *error.interval(checks)), -math.inf, high)

    return judge


def _gap_within(a, b, low, high):
    def judge(checks=1):
        return within(difference(a, b, checks), low, high) if a and b else MISSING

    return judge


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
