"""What every solver promises, over a table of all of them: a new rule is one row."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmtf import solvers
from mmtf.solvers import Box

BOX = Box(-0.5, 0.5)
COMMON = {"u_optimizer": 0.125, "v_optimizer": 0.125, "project_u": BOX, "project_v": BOX}
TABLE = {
    "alternating": {"v_steps": 2},
    "simultaneous": {},
    "sensitivity": {"gamma": 0.5, "order": "sequential", "second_order": "hvp"},
    "unrolled": {"k": 2, "rate": 0.25},
    "extragradient": {},
    "optimistic": {},
    "consensus": {"gamma": 0.25},
    "k_beam": {"beams": 3, "v_steps": 2, "spread": 0.25, "seed": 1},
}
every_solver = pytest.mark.parametrize("name", TABLE)


def make(name, **changes):
    return solvers.SOLVERS[name](**{**COMMON, **TABLE[name], **changes})


def f(u, v):
    return tf.reduce_sum(u[0] ** 2 - v[0] ** 2 + 2 * tf.sin(u[0] * v[0]) + u[1] * v[1])


def variables(seed=0, kind=keras.Variable):
    values = np.random.default_rng(seed).uniform(-0.5, 0.5, (4, 3)).astype("float32")
    u0, u1, v0, v1 = (kind(x) for x in values)
    return [u0, u1], [v0, v1]


@functools.cache
def plain_run(name, graph=False):
    """`run` by the defaults, for several tests."""
    return run(name, graph=graph)


def run(name, steps=5, graph=False, kind=keras.Variable, **changes):
    u, v = variables(kind=kind)
    solver = make(name, **changes).build(u, v)
    step = tf.function(lambda: solver.step(f)) if graph else lambda: solver.step(f)
    for _ in range(steps):
        metrics = step()
    return [x.numpy() for x in u + v], {k: x.numpy() for k, x in metrics.items()}


def test_the_table_is_complete():
    assert set(TABLE) == set(solvers.SOLVERS)


@every_solver
def test_eager_equals_graph(name):
    (eager, eager_metrics), (graph, graph_metrics) = plain_run(name), plain_run(name, graph=True)
    # A compiled step may sum in another order: some ulps of numbers of order 1.
    np.testing.assert_allclose(eager, graph, rtol=0, atol=1e-6)
    assert set(eager_metrics) == {"value", "u_norm", "v_norm", "penalty"}
    for key, value in eager_metrics.items():
        assert value.shape == ()
        np.testing.assert_allclose(value, graph_metrics[key], rtol=1e-5, atol=1e-6)


@every_solver
def test_deterministic(name):
    first, second = plain_run(name, graph=True)[0], run(name, graph=True)[0]
    np.testing.assert_array_equal(first, second)


@every_solver
def test_tensorflow_variables_as_well(name):
    np.testing.assert_array_equal(plain_run(name)[0], run(name, kind=tf.Variable)[0])


@every_solver
def test_stays_in_the_box(name):
    values, _ = run(name, steps=20, u_optimizer=3.0, v_optimizer=3.0)
    assert np.max(np.abs(values)) == 0.5  # so large a rate reaches the bounds, and not beyond


@every_solver
def test_projection_of_one_player_leaves_the_other(name):
    values, _ = run(name, steps=3, u_optimizer=9.0, project_u=None)
    assert np.max(np.abs(values[:2])) > 0.5 >= np.max(np.abs(values[2:]))


@every_solver
def test_repr_says_every_argument(name):
    solver = make(name)
    text = repr(solver)
    again = eval(text, vars(solvers))
    assert repr(again) == text
    for key, value in {**COMMON, **TABLE[name]}.items():
        assert f"{key}={value!r}" in text
    assert repr(solver.build(*variables())) == text


@every_solver
def test_keras_optimizers(name):
    optimizer = keras.optimizers.Adam(0.125)
    solver = make(name, u_optimizer=optimizer, v_optimizer="adam")
    assert "u_optimizer=Adam(learning_rate=0.125, " in repr(solver)
    assert "beta_1=0.9, beta_2=0.999" in repr(solver)
    assert solver.build(*variables()).descent is optimizer
    solver.step(f)
    with pytest.raises(ValueError, match="Expected an optimizer that has no variables yet"):
        solver.build(*variables())


@every_solver
def test_independent_games_in_one_run_equal_single_runs(name):
    surface = solvers.surfaces.SURFACES["rotated saddle"].f
    rng = np.random.default_rng(1)
    u0, v0 = rng.uniform(-0.5, 0.5, (2, 4)).astype("float32")
    # The beams of a batch draw their own starts; with spread 0 all start at v.
    kept = {"spread": 0.0} if name == "k_beam" else {}
    together = solvers.solve(surface, u0, v0, solver=make(name, **kept), steps=5)
    for i in range(4):
        alone = solvers.solve(surface, u0[i], v0[i], solver=make(name, **kept), steps=5)
        np.testing.assert_allclose(alone.u, together.u[i], rtol=0, atol=1e-6)
        np.testing.assert_allclose(alone.v, together.v[i], rtol=0, atol=1e-6)


@every_solver
def test_resumes_from_a_checkpoint(name, tmp_path):
    adam = {"u_optimizer": "adam", "v_optimizer": "adam"}
    u, v = variables()
    solver = make(name, **adam).build(u, v)
    for _ in range(2):
        solver.step(f)
    path = tf.train.Checkpoint(solver=solver).save(tmp_path / "state")
    solver.step(f)
    again_u, again_v = variables(seed=7)
    again = make(name, **adam).build(again_u, again_v)
    tf.train.Checkpoint(solver=again).restore(path).assert_consumed()
    again.step(f)
    for x, y in zip(u + v, again_u + again_v, strict=True):
        np.testing.assert_array_equal(x.numpy(), y.numpy())


@every_solver
def test_refuses_a_function_that_ignores_its_arguments(name):
    u, v = variables()
    solver = make(name).build(u, v)
    with pytest.raises(ValueError, match="Expected f to depend on the tensors"):
        solver.step(lambda *_: tf.reduce_sum(tf.convert_to_tensor(u[0]) * v[0]))


@every_solver
def test_refuses_a_player_without_variables(name):
    u, v = variables()
    with pytest.raises(ValueError, match="Expected at least one variable of u"):
        make(name).build([], v)
    with pytest.raises(ValueError, match="Expected at least one variable of v"):
        make(name).build(u, [])
