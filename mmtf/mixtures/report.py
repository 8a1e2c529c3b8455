"""A comparison of mixtures as plain data, tables and sentences."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from mmtf.mixtures.attackers import Attacked
from mmtf.mixtures.comparison import BEST_PURE, OPTIMAL, Strategy
from mmtf.mixtures.growing import DoubleOracle
from mmtf.mixtures.payoffs import Payoffs
from mmtf.reports.markdown import markdown_table

ATTACKERS = ("table", "per_image", "adaptive", "either")


def entry(strategy: Strategy, attacked: Attacked) -> dict[str, Any]:
    """What record.json says about a strategy."""
    return {
        "strategy": strategy.name,
        "p": strategy.p,
        "q": strategy.q,
        "certificate": strategy.certificate,
        "selection": {"table": strategy.table, "per_image": strategy.per_image},
        "test": {**dataclasses.asdict(attacked), "exploitability": attacked.exploitability},
    }


def matrix_of(measured: Payoffs) -> dict[str, Any]:
    """What record.json says about measured errors."""
    return {
        "defenses": list(measured.defenses),
        "attacks": list(measured.attacks),
        "n": measured.wrong.shape[-1],
        "errors": measured.matrix.tolist(),
        "clean": measured.clean_errors.tolist(),
    }


def growth_of(found: DoubleOracle) -> dict[str, Any]:
    """What record.json says about a double oracle, whose strategies are names."""
    return {
        "defenses": found.defenses,
        "attacks": found.attacks,
        "errors": found.payoffs.tolist(),
        "value": found.solution.value,
        "certificate": found.solution.certificate,
        "stopped": found.stopped,
        "rounds": [
            {
                "value": one.value,
                "lower": one.lower,
                "upper": one.upper,
                # strict=False: the strategies of later rounds come after those of p and q.
                "p": dict(zip(found.defenses, one.p.tolist(), strict=False)),
                "q": dict(zip(found.attacks, one.q.tolist(), strict=False)),
                "new": [*one.defenses, *one.attacks],
                "seconds": round(one.seconds, 1),
            }
            for one in found.rounds
        ],
    }


def matrix_table(measured: Mapping[str, Any]) -> str:
    """The payoff matrix as a Markdown table, a row for each net."""
    header = ["error", "no attack", *measured["attacks"]]
    lines = zip(measured["defenses"], measured["clean"], measured["errors"], strict=True)
    rows = [[name, *(f"{value:.3f}" for value in (clean, *row))] for name, clean, row in lines]
    return markdown_table(header, rows)


def attackers_table(entries: Sequence[Mapping[str, Any]]) -> str:
    """The errors of strategies under the three attackers, with 95 % intervals."""
    header = ["strategy", "no attack", "(1) table", "(2) per image", "(3) adaptive"]
    header += ["(2) or (3)", "exploitability (3) - (1)"]
    rows = []
    for one in entries:
        test = one["test"]
        gain = test["exploitability"]
        cells = [_with_interval(test[name]) for name in ("clean", *ATTACKERS)]
        rows.append([one["strategy"], *cells, "" if gain is None else f"{gain:+.3f}"])
    return markdown_table(header, rows)


def weights_table(entries: Sequence[Mapping[str, Any]]) -> str:
    """The probabilities of the nets in each strategy, and its error on the held-out images."""
    names = list(dict.fromkeys(name for one in entries for name in one["p"]))
    header = ["strategy", *names, "held-out (1)", "held-out (2)"]
    rows = [
        [
            one["strategy"],
            *(f"{one['p'].get(name, 0.0):.3f}" for name in names),
            f"{one['selection']['table']:.3f}",
            f"{one['selection']['per_image']:.3f}",
        ]
        for one in entries
    ]
    return markdown_table(header, rows)


def alpha_table(entries: Sequence[Mapping[str, Any]]) -> str:
    """The Bayesian game by alpha."""
    names = list(entries[0]["p"])
    header = ["alpha", "value", *names, "no attack", "strongest attack"]
    rows = [
        [
            f"{one['alpha']:g}",
            f"{one['value']:.4f}",
            *(f"{one['p'][name]:.3f}" for name in names),
            f"{one['clean']:.3f}",
            f"{one['table']:.3f}",
        ]
        for one in entries
    ]
    return markdown_table(header, rows)


def rounds_table(growth: Mapping[str, Any]) -> str:
    """The rounds of a double oracle with their brackets."""
    header = ["round", "value", "bracket: lower", "upper", "new", "seconds"]
    rows = [
        [
            str(number),
            *(f"{one[name]:.3f}" for name in ("value", "lower", "upper")),
            ", ".join(one["new"]) or "none",
            f"{one['seconds']:.0f}",
        ]
        for number, one in enumerate(growth["rounds"], 1)
    ]
    return markdown_table(header, rows)


def verdict(entries: Sequence[Mapping[str, Any]]) -> str:
    """What the optimal mixture gains in the table, and what the adaptive attacker takes of it.

    Args:
      entries: of `entry`, with the best pure net and the optimal mixture.
    """
    known = {one["strategy"]: one for one in entries}
    pure, mixed = known[BEST_PURE], known[OPTIMAL]
    net = max(pure["p"], key=lambda name: pure["p"][name])
    before, after = (one["test"]["table"]["error"] for one in (pure, mixed))
    words = (
        f"Under the strongest frozen attack the optimal mixture has an error of {after:.3f}, the "
        f"best single net ({net}) one of {before:.3f}"
    )
    if pure["test"]["adaptive"] is None:
        return f"{words}; the adaptive attacker was not run."
    left, right = (one["test"]["adaptive"]["error"] for one in (pure, mixed))
    own = f"under the adaptive attacker the mixture has {right:.3f} and that net {left:.3f}"
    gain, kept = before - after, left - right
    if gain <= 0:
        found = "gains nothing"
    elif kept <= 0:
        found = "loses its gain to the adaptive attacker"
    elif (lost := 1 - kept / gain) >= 0.005:  # printed as at least 1 %
        found = f"loses {lost:.0%} of its gain to the adaptive attacker"
    else:
        found = "keeps its gain under the adaptive attacker"
    return f"In this run the mixture {found}. {words}; {own}."


def growth_verdict(
    growth: Mapping[str, Any],
    grown: Sequence[Mapping[str, Any]],
    given: Sequence[Mapping[str, Any]],
) -> str:
    """What double oracle reached: the table's error of its solution beside the adaptive one.

    Args:
      growth: of `growth_of`.
      grown: of `entry`, the strategies of the grown nets.
      given: of `entry`, those of the nets that were there before.
    """
    test = next(one for one in grown if one["strategy"] == OPTIMAL)["test"]
    last = growth["rounds"][-1]
    words = (
        f"After {len(growth['rounds'])} rounds the value of the matrix is {growth['value']:.3f} on "
        f"the held-out images; the last bracket was [{last['lower']:.3f}, {last['upper']:.3f}]. "
        f"Under the strongest frozen attack the optimal mixture of the grown nets has a test error "
        f"of {test['table']['error']:.3f}"
    )
    measured = [one["test"]["adaptive"] for one in given]
    if test["adaptive"] is None or None in measured:
        return f"{words}; the adaptive attacker was not run."
    least = min(one["error"] for one in measured)
    return (
        f"{words}, under the adaptive attacker one of {test['adaptive']['error']:.3f}: its "
        f"exploitability is {test['exploitability']:.3f}. The best of the strategies before has "
        f"{least:.3f} under the adaptive attacker."
    )


def _with_interval(one: Mapping[str, float] | None) -> str:
    if one is None:
        return ""
    return f"{one['error']:.3f} [{one['ci_low']:.3f}, {one['ci_high']:.3f}]"
