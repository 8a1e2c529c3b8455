"""What is K-beam's own: several games at once, epsilon, where v ends."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmtf.solvers import Alternating, Box, KBeam, L2Ball, Simultaneous, solve

RATES = {"u_optimizer": 0.125, "v_optimizer": 0.0}


def three_beams(f, **settings):
    """One step from u = 1 with candidates -1, 0 and 2 that stand still."""
    u, v = keras.Variable(1.0), keras.Variable(-1.0)
    solver = KBeam(**RATES, beams=3, **settings).build([u], [v])
    solver.set_beam(1, [0.0])
    solver.set_beam(2, [2.0])
    metrics = solver.step(f)
    return float(u.numpy()), float(v.numpy()), float(metrics["value"])


def f(u, v):
    """Values 1, 0 and 0.75 for the three candidates at u = 1, and du = v^2 - |v| + 2v."""
    table = tf.where(v[0] < 0, 1.0, tf.where(v[0] > 1, 0.75, 0.0))
    return table + (u[0] - 1) * (v[0] ** 2 - tf.abs(v[0]) + 2 * v[0])


def test_descends_on_the_largest():
    assert three_beams(f) == (1.0 + 2 / 8, -1.0, 1.0)


def test_epsilon_takes_the_mean_gradient_of_all_that_come_near():
    # du is -2 and 6 for the two candidates within 0.25.
    assert three_beams(f, epsilon=0.25) == (1.0 - 2 / 8, -1.0, 0.875)
    assert three_beams(f, epsilon=0.24) == three_beams(f)


def test_games_in_a_batch_have_their_own_best_candidate():
    u0, v0 = tf.constant([1.0, -1.0]), tf.constant([0.5, 0.5])
    u, v = keras.Variable(u0), keras.Variable(v0)
    solver = KBeam(**RATES, beams=2).build([u], [v])
    solver.set_beam(1, [[-2.0, -2.0]])
    solver.step(lambda u, v: u[0] * v[0])
    # u v is largest at v = 1/2 for u = 1, and at v = -2 for u = -1.
    np.testing.assert_array_equal(u.numpy(), [1 - 0.5 / 8, -1 + 2 / 8])
    np.testing.assert_array_equal(v.numpy(), [0.5, -2.0])


def test_games_in_a_batch_need_v_to_have_that_axis():
    u, v = keras.Variable([1.0, 2.0]), keras.Variable([1.0, 2.0, 3.0])
    solver = KBeam(**RATES, beams=2).build([u], [v])
    with pytest.raises(ValueError, match="Expected the leading axes of v's variables"):
        solver.step(lambda u, v: u[0] * tf.reduce_sum(v[0]))


def test_starts_differ_within_the_set_and_with_the_seed():
    box = Box(-0.5, 0.5)
    starts = []
    for seed in (0, 0, 1):
        solver = KBeam(project_v=box, beams=4, spread=0.3, seed=seed)
        solver.build([keras.Variable(0.0)], [keras.Variable([0.1, 0.2])])
        starts.append(solver.candidates[0].numpy())
    np.testing.assert_array_equal(starts[0][0], np.float32([0.1, 0.2]))
    assert len(np.unique(starts[0][:, 0])) == 4
    np.testing.assert_allclose(starts[0][1] + starts[0][2], [0.2, 0.4], atol=1e-7)  # v +- noise
    assert np.max(np.abs(starts[0])) <= 0.5
    np.testing.assert_array_equal(starts[0], starts[1])
    assert np.any(starts[0] != starts[2])


def test_every_candidate_has_its_own_ball():
    u, v = keras.Variable(1.0), keras.Variable([0.6, 0.8])
    solver = KBeam(u_optimizer=0.0, v_optimizer=1.0, project_v=L2Ball(2.0), beams=3, spread=1e-3)
    solver.build([u], [v]).step(lambda u, v: 3.0 * u[0] * tf.reduce_sum(v[0] * [0.6, 0.8]))
    # From about norm 1 each moves by 3 outwards and is cut back to norm 2.
    np.testing.assert_allclose(np.linalg.norm(solver.candidates[0].numpy(), axis=1), 2, rtol=1e-6)


def test_refuses_a_beam_it_does_not_have():
    solver = KBeam(beams=2).build([keras.Variable(0.0)], [keras.Variable(0.0)])
    with pytest.raises(ValueError, match="Expected k in 0 to 1. Received 2"):
        solver.set_beam(2, [1.0])
    with pytest.raises(ValueError, match="Expected beams > 0. Received: 0"):
        KBeam(beams=0)


def test_finds_the_minimax_that_one_attacker_misses():
    """2v^2 - (u - v)^2 has two maximizers in v: who follows one pushes u away from 0."""
    box = Box(-0.5, 0.5)
    rates = {"u_optimizer": 0.01, "v_optimizer": 0.1, "project_u": box, "project_v": box}
    rng = np.random.default_rng(0)
    u0, v0 = rng.uniform(-0.5, 0.5, (2, 16)).astype("float32")
    f = lambda u, v: 2 * v**2 - (u - v) ** 2  # noqa: E731
    for one in (Alternating(**rates), Simultaneous(**rates)):
        assert np.all(np.abs(solve(f, u0, v0, solver=one, steps=300).u) == 0.5)
    many = solve(f, u0, v0, solver=KBeam(**rates, spread=1.0), steps=300)
    # It chatters around 0 with steps of rate times |df/du| <= 1.
    assert np.all(np.abs(many.u) < 0.02)
    np.testing.assert_array_equal(np.abs(many.v), 0.5)
