"""Which rule finds the minimax points of which surface, from many random starts in the box.

The distances that docs/solvers.md reports come from a longer benchmark; here are the facts that
they rest on, with a fixed setting each.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmtf import solvers
from mmtf.solvers.surfaces import HIGH, LOW, SURFACES

STARTS, STEPS, SOLVED = 64, 1000, 0.01
BOX = solvers.Box(LOW, HIGH)


def ends(name, surface, u_rate, v_rate, **settings):
    """Mean |u - u*| and max_v f(u, .) - f(u, v), with rates that fall to 0 along a cosine."""
    rule = solvers.SOLVERS[name]
    steps = STEPS * rule.updates
    rates = [keras.optimizers.schedules.CosineDecay(rate, steps) for rate in (u_rate, v_rate)]
    solver = rule(
        u_optimizer=rates[0], v_optimizer=rates[1], project_u=BOX, project_v=BOX, **settings
    )
    u0, v0 = np.random.default_rng(4).uniform(LOW, HIGH, (2, STARTS)).astype("float32")
    solution = solvers.solve(SURFACES[surface].f, u0, v0, solver=solver, steps=STEPS)
    worst = SURFACES[surface].f(solution.u, tf.linspace(LOW, HIGH, 1001)[:, None])
    gap = tf.reduce_max(worst, axis=0) - solution.value
    return float(np.mean(SURFACES[surface].distance(solution.u))), float(np.mean(gap))


@pytest.mark.parametrize("name", ["alternating", "simultaneous"])
@pytest.mark.parametrize("surface", SURFACES)
def test_descent_and_ascent_solve_the_first_two_only(name, surface):
    solved = ends(name, surface, 0.01, 0.1)[0] < SOLVED
    assert solved == (surface in ("saddle", "rotated saddle"))


@pytest.mark.parametrize("order", ["simultaneous", "sequential"])
@pytest.mark.parametrize("surface", SURFACES)
def test_algorithm_1_finds_saddle_points_and_stationary_points(order, surface):
    distance, gap = ends("sensitivity", surface, 0.1, 0.01, gamma=1.0, order=order)
    if SURFACES[surface].saddle:
        assert distance < SOLVED and gap < SOLVED
    elif surface == "anti-saddle":
        # It stops at (0, 0), stationary by symmetry: u is right, but v = 0 minimizes f(0, v).
        assert distance < 0.05 and gap > 0.2
    else:
        assert distance > 0.1


@pytest.mark.parametrize("name", ["extragradient", "optimistic", "unrolled"])
def test_rules_that_look_ahead_stop_the_circling(name):
    settings = {"rate": 0.5} if name == "unrolled" else {}
    assert ends(name, "sine", 0.1, 0.1, **settings)[0] < SOLVED
    assert ends("alternating", "sine", 0.1, 0.1)[0] > 0.1


@pytest.mark.parametrize("surface", SURFACES)
def test_k_beam_solves_all(surface):
    distance, gap = ends("k_beam", surface, 0.1, 0.03, beams=10, spread=1.0)
    assert distance < SOLVED and gap < SOLVED
