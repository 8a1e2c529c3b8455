"""Double oracle with exact oracles."""

import numpy as np
import pytest

from mmtf.mixtures.growing import double_oracle

GRID = np.linspace(0.0, 1.0, 101)


def square(u, v):
    return (u - v) ** 2


def nearest(attacks, q):
    return [float(GRID[np.argmin(q @ [square(GRID, v) for v in attacks])])]


def farthest(defenses, p):
    return [float(GRID[np.argmax(p @ [square(u, GRID) for u in defenses])])]


def test_the_square_on_a_grid():
    """Its value is 1/4, at u = 1/2 against v = 0 and v = 1 with probability 1/2 each."""
    calls = []

    def payoff(u, v):
        calls.append((u, v))
        return square(u, v)

    found = double_oracle(payoff, [0.0], [0.0], nearest, farthest)
    assert found.stopped == "gap"
    assert found.solution.value == pytest.approx(0.25, abs=1e-9)
    p = dict(zip(found.defenses, found.solution.p, strict=True))
    q = dict(zip(found.attacks, found.solution.q, strict=True))
    assert p[0.5] == pytest.approx(1.0)
    assert set(q) == {0.0, 1.0}
    # Any q within half a step of the grid makes u = 1/2 the best response.
    assert q[0.0] == pytest.approx(0.5, abs=0.005 + 1e-9)
    # Eight rounds find strategies, a ninth finds that there are no better ones.
    grew = [bool(one.defenses or one.attacks) for one in found.rounds]
    assert grew == [True] * 8 + [False]
    for one in found.rounds:
        assert one.lower - 1e-9 <= 0.25 <= one.upper + 1e-9
    assert len(calls) == len(set(calls)) == found.payoffs.size


def test_limits():
    one = double_oracle(square, [0.0], [0.0], nearest, farthest, rounds=2)
    assert one.stopped == "rounds" and len(one.rounds) == 2
    late = double_oracle(square, [0.0], [0.0], nearest, farthest, seconds=0.0)
    assert late.stopped == "seconds" and len(late.rounds) == 1
    # Oracles that are not exact find nothing before the bracket closes.
    lost = double_oracle(square, [0.2], [0.9], lambda *_: [0.2], lambda *_: [0.9, 0.9], gap=0.0)
    assert lost.stopped in ("gap", "nothing new") and lost.payoffs.shape == (1, 1)
