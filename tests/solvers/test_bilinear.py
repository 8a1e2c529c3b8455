"""Every rule against its closed form on f = u'Av, three steps in float64."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmtf.solvers import KBeam

from . import bilinear


def game(rows=4, columns=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(rows, columns)), rng.normal(size=rows), rng.normal(size=columns)


def as_function(A):
    return lambda u, v: tf.tensordot(u[0], tf.linalg.matvec(tf.constant(A), v[0]), 1)


def variables(*values):
    return [keras.Variable(x, dtype="float64") for x in values]


@pytest.mark.parametrize("name", bilinear.CASES)
def test_three_steps_match_the_closed_form(name):
    solver, reference = bilinear.cases()[name]
    A, u, v = game()
    u_variable, v_variable = variables(u, v)
    solver.build([u_variable], [v_variable])
    for _ in range(3):
        u, v = reference(A, u, v)
        solver.step(as_function(A))
    # Some 50 operations a step on numbers of order 10.
    np.testing.assert_allclose(u_variable.numpy(), u, rtol=0, atol=1e-12)
    np.testing.assert_allclose(v_variable.numpy(), v, rtol=0, atol=1e-12)


def test_the_two_orders_of_algorithm_1_differ_by_sigma_A_At_u():
    A, u, v = game(seed=1)
    moved = {}
    for order in ("sensitivity", "sensitivity_sequential"):
        solver, _ = bilinear.cases()[order]
        u_variable, v_variable = variables(u, v)
        solver.build([u_variable], [v_variable]).step(as_function(A))
        moved[order] = u_variable.numpy()
    np.testing.assert_allclose(
        moved["sensitivity"] - moved["sensitivity_sequential"],
        bilinear.LAMBDA * bilinear.SIGMA * A @ A.T @ u,
        atol=1e-13,
    )


def test_k_beam_descends_on_the_best_candidate():
    A, u, v = game(seed=2)
    others = [v + 1.0, v - 2.0]
    reference = bilinear.KBeamReference(others)
    solver = KBeam(**bilinear.RATES, beams=3)
    u_variable, v_variable = variables(u, v)
    solver.build([u_variable], [v_variable])
    for k, other in enumerate(others, start=1):
        solver.set_beam(k, [other])
    for _ in range(3):
        u, v = reference(A, u, v)
        solver.step(as_function(A))
    np.testing.assert_allclose(u_variable.numpy(), u, rtol=0, atol=1e-12)
    np.testing.assert_allclose(v_variable.numpy(), v, rtol=0, atol=1e-12)


F_MAX = {
    # u descends u'Av and v ascends u'Bv: the direction of u's first step, and v's.
    "simultaneous": lambda A, B, u, v: (A @ v, B.T @ u),
    "alternating": lambda A, B, u, v: (A @ (v + bilinear.SIGMA * B.T @ u), B.T @ u),
    "sensitivity": lambda A, B, u, v: (A @ v + bilinear.GAMMA * B @ B.T @ u, B.T @ u),
    "sensitivity_hvp": lambda A, B, u, v: (A @ v + bilinear.GAMMA * B @ B.T @ u, B.T @ u),
    "unrolled": lambda A, B, u, v: (
        A @ v + bilinear.K * bilinear.RATE * (A @ B.T + B @ A.T) @ u,
        B.T @ u,
    ),
    "extragradient": lambda A, B, u, v: (
        A @ (v + bilinear.SIGMA * B.T @ u),
        B.T @ (u - bilinear.LAMBDA * A @ v),
    ),
    "optimistic": lambda A, B, u, v: (A @ v, B.T @ u),
    "consensus": lambda A, B, u, v: (
        A @ v + bilinear.GAMMA * B @ B.T @ u,
        B.T @ u - bilinear.GAMMA * A.T @ A @ v,
    ),
    "k_beam_one": lambda A, B, u, v: (A @ v, B.T @ (u - bilinear.LAMBDA * A @ v)),
}


@pytest.mark.parametrize("name", F_MAX)
def test_f_max_is_what_v_ascends(name):
    A, u, v = game(seed=3)
    B, _, _ = game(seed=4)
    solver, _ = bilinear.cases()[name]
    u_variable, v_variable = variables(u, v)
    solver.build([u_variable], [v_variable]).step(as_function(A), as_function(B))
    down, up = F_MAX[name](A, B, u, v)
    np.testing.assert_allclose(u_variable.numpy(), u - bilinear.LAMBDA * down, atol=1e-12)
    np.testing.assert_allclose(v_variable.numpy(), v + bilinear.SIGMA * up, atol=1e-12)
