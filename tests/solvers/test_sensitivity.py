"""Algorithm 1: its gradient against central differences, its orders, its arguments."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmtf.solvers import Sensitivity

from .differences import (
    assert_close,
    central_differences,
    directions,
    f,
    gradient_v,
    squares,
    start,
)

GAMMA, SIGMA = 0.75, 0.5


@pytest.mark.parametrize("second_order", ["exact", "hvp"])
@pytest.mark.parametrize("order", ["simultaneous", "sequential"])
def test_gradient_of_the_penalized_function(order, second_order):
    u, v = start()
    solver = Sensitivity(
        u_optimizer=1, v_optimizer=SIGMA, gamma=GAMMA, order=order, second_order=second_order
    )
    down, up = directions(solver, u, v)
    ascent = gradient_v(u, v)
    assert_close(up, [SIGMA * g.numpy() for g in ascent])
    if order == "sequential":
        v = [x + SIGMA * g for x, g in zip(v, ascent, strict=True)]

    def penalized(u):
        return f(u, v) + GAMMA / 2 * squares(gradient_v(u, v))

    assert_close(down, central_differences(penalized, u))


def test_penalty_that_does_not_depend_on_u_adds_nothing():
    u, v = [tf.constant([1.0, 2.0])], [tf.constant([3.0])]
    for second_order in ("exact", "hvp"):
        u_variables, v_variables = [keras.Variable(x) for x in u], [keras.Variable(x) for x in v]
        solver = Sensitivity(u_optimizer=1, v_optimizer=1, second_order=second_order)
        solver.build(u_variables, v_variables)
        metrics = solver.step(lambda u, v: tf.reduce_sum(u[0]) - 0.5 * tf.reduce_sum(v[0] ** 2))
        np.testing.assert_array_equal(u_variables[0].numpy(), [0.0, 1.0])
        assert float(metrics["penalty"]) == 4.5  # 3^2 / 2


def test_gamma_may_depend_on_the_iteration():
    u, v = keras.Variable(0.0), keras.Variable(2.0)
    solver = Sensitivity(
        u_optimizer=0.0,
        v_optimizer=0.0,
        gamma=keras.optimizers.schedules.ExponentialDecay(1.0, decay_steps=1, decay_rate=0.5),
    )
    solver.build([u], [v])
    assert "gamma=ExponentialDecay(initial_learning_rate=1" in repr(solver)
    step = tf.function(lambda: solver.step(lambda u, v: u[0] + v[0] ** 2 / 2))
    # ||df/dv||^2 / 2 = 2, weighted by 1, 1/2, 1/4.
    assert [float(step()["penalty"]) for _ in range(3)] == [2.0, 1.0, 0.5]


def test_gamma_zero_is_simultaneous_play():
    u, v = start()
    down, up = directions(Sensitivity(u_optimizer=1, v_optimizer=1, gamma=0.0), u, v)
    assert_close(down, central_differences(lambda u: f(u, v), u))
    assert_close(up, [g.numpy() for g in gradient_v(u, v)])


def test_nothing_of_size_u_times_v_is_held():
    """With |u| = |v| = 20,000 the mixed second derivatives would take 3 GB."""
    n = 20_000
    for second_order in ("exact", "hvp"):
        solver = Sensitivity(u_optimizer=1, v_optimizer=1, second_order=second_order)
        u, v = keras.Variable(tf.ones([n])), keras.Variable(tf.ones([n]))
        step = tf.function(solver.build([u], [v]).step, autograph=False)
        graph = step.get_concrete_function(lambda u, v: tf.reduce_sum(u[0] * v[0]) ** 2 / n).graph
        assert max(_sizes(graph)) == n


def _sizes(graph):
    # Number of elements of every tensor of the graph and of the functions it calls.
    definition = graph.as_graph_def(add_shapes=True)
    nodes = [*definition.node, *(x for f in definition.library.function for x in f.node_def)]
    shapes = [shape for node in nodes for shape in node.attr["_output_shapes"].list.shape]
    return [int(np.prod([dim.size for dim in shape.dim])) for shape in shapes]


@pytest.mark.parametrize("wrong", [{"order": "random"}, {"second_order": "none"}])
def test_refuses_other_choices(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(ValueError, match=f"Expected {name} to be one of .* Received: '{value}'"):
        Sensitivity(**wrong)


def test_v_norm_is_that_of_the_step_of_v():
    u, v = keras.Variable(0.0), keras.Variable(2.0)
    solver = Sensitivity(u_optimizer=0.0, v_optimizer=1.0, order="sequential").build([u], [v])
    metrics = solver.step(lambda u, v: u[0] + v[0] ** 2 / 2)
    assert float(v.numpy()) == 4.0 and float(metrics["v_norm"]) == 2.0
