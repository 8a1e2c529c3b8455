"""Double oracle: grows a matrix game by best responses until its solution is one of the full game.

It knows no images: strategies are any objects, and oracles any functions.
"""

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mmtf.errors import require, require_int, require_number
from mmtf.mixtures.matrix_game import Solution, solve

GAP, ROUNDS, SECONDS, NOTHING_NEW = "gap", "rounds", "seconds", "nothing new"


@dataclasses.dataclass(frozen=True, eq=False)
class Round:
    """One round: the solution of the matrix so far, and what best responses to it reach.

    Attributes:
      value: of the matrix so far.
      p, q: the mixtures of its solution, over the strategies so far.
      lower: the least expected loss of a defense against q, among the known and the new ones.
      upper: the largest expected loss of p under an attack, among the known and the new ones.
      defenses, attacks: the new strategies.
      seconds: duration of the round, oracles included.
    """

    value: float
    p: np.ndarray
    q: np.ndarray
    lower: float
    upper: float
    defenses: list[Any]
    attacks: list[Any]
    seconds: float


@dataclasses.dataclass(frozen=True, eq=False)
class DoubleOracle:
    """The result of `double_oracle`.

    Attributes:
      defenses, attacks: all strategies, in the order in which they came.
      payoffs: float64 [D, A].
      solution: of `payoffs`.
      rounds: in order.
      stopped: `gap`, `rounds`, `seconds` or `nothing new`.
    """

    defenses: list[Any]
    attacks: list[Any]
    payoffs: np.ndarray
    solution: Solution
    rounds: list[Round]
    stopped: str


def double_oracle(
    payoff: Callable[[Any, Any], float],
    defenses: Sequence[Any],
    attacks: Sequence[Any],
    best_defense: Callable[[list[Any], np.ndarray], Sequence[Any]],
    best_attack: Callable[[list[Any], np.ndarray], Sequence[Any]],
    *,
    gap: float = 1e-9,
    rounds: int = 100,
    seconds: float | None = None,
    say: Callable[[Round], Any] = lambda one: None,
) -> DoubleOracle:
    """Solves a game of many strategies through matrices of few (McMahan, Gordon & Blum 2003).

    A round solves the matrix of the strategies so far, asks both oracles for best responses to the
    mixtures of its solution, and adds them. With exact oracles lower <= value of the full game <=
    upper in each round. Oracles that train networks are approximate, and so is the bracket: a
    better defense than the one found may lie below `lower`, a stronger attack above `upper`.

    Args:
      payoff: payoff(defense, attack) -> the defender's loss; called once for each pair.
      defenses, attacks: the first strategies, at least one of each.
      best_defense: best_defense(attacks, q) -> defenses of low expected loss against q, one or
        more; those already known are ignored.
      best_attack: best_attack(defenses, p) -> attacks of high expected loss for p.
      gap: stop once upper - lower <= gap, >= 0.
      rounds: largest number of rounds, > 0.
      seconds: no round begins after so many; None: no limit.
      say: called after each round.

    Raises:
      ConfigError: no strategies, or a limit out of range.
      RunError: see `mmtf.mixtures.solve`.

    Example: matching pennies, found from one side of the coin.
      >>> sides = [0, 1]
      >>> expected = lambda own, others, p, sign: sum(w * sign(own, o) for w, o in zip(p, others))
      >>> loss = lambda d, a: 1.0 if d == a else -1.0
      >>> answer = lambda choose: lambda others, p: [
      ...     choose(sides, key=lambda own: expected(own, others, p, loss))]
      >>> found = double_oracle(loss, [0], [0], answer(min), answer(max))
      >>> found.solution.value, found.solution.p.tolist(), found.stopped
      (0.0, [0.5, 0.5], 'gap')
    """
    defenses, attacks = list(defenses), list(attacks)
    require(bool(defenses) and bool(attacks), "at least one defense and one attack", "none")
    require_number("gap", gap, at_least=0)
    require_int("rounds", rounds)
    began, stopped = time.monotonic(), ROUNDS
    done: list[Round] = []
    matrix = np.array([[payoff(d, a) for a in attacks] for d in defenses], np.float64)
    while len(done) < rounds:
        if done and seconds is not None and time.monotonic() - began >= seconds:
            stopped = SECONDS
            break
        start, found = time.monotonic(), solve(matrix)
        known = len(defenses), len(attacks)
        p, q = found.p, found.q
        assert q is not None
        new_attacks = _new(best_attack(list(defenses), p), attacks)
        new_defenses = _new(best_defense(list(attacks), q), defenses)
        defenses, attacks = [*defenses, *new_defenses], [*attacks, *new_attacks]
        matrix = _grown(matrix, payoff, defenses, attacks)
        lower = float((matrix[:, : known[1]] @ q).min())
        upper = float((p @ matrix[: known[0]]).max())
        took = time.monotonic() - start
        done.append(Round(found.value, p, q, lower, upper, new_defenses, new_attacks, took))
        say(done[-1])
        if upper - lower <= gap:
            stopped = GAP
            break
        if not new_defenses and not new_attacks:
            stopped = NOTHING_NEW
            break
    return DoubleOracle(defenses, attacks, matrix, solve(matrix), done, stopped)


def _new(found: Sequence[Any], known: list[Any]) -> list[Any]:
    """Those of `found` that are not known yet, each once."""
    new: list[Any] = []
    for one in found:
        if one not in known and one not in new:
            new.append(one)
    return new


def _grown(matrix, payoff, defenses, attacks) -> np.ndarray:
    """The matrix with rows and columns for the strategies behind those that it has."""
    rows, columns = matrix.shape
    grown = np.empty((len(defenses), len(attacks)))
    grown[:rows, :columns] = matrix
    for i, defense in enumerate(defenses):
        for j, attack in enumerate(attacks):
            if i >= rows or j >= columns:
                grown[i, j] = payoff(defense, attack)
    return grown
