"""The shared arithmetic, and the errors of the shared interface."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmtf.solvers import Simultaneous, Solver
from mmtf.solvers.base import cross_replica_sum, differentiate, dot


def test_dot_is_that_of_the_concatenation():
    a = [tf.constant([[1.0, 2.0]]), tf.constant(3.0)]
    b = [tf.constant([[4.0, 5.0]]), tf.constant(6.0)]
    assert float(dot(a, b)) == 32.0


def test_differentiate_sums_the_values_of_several_games():
    u, v = [tf.constant([1.0, 2.0])], [tf.constant([3.0, 4.0])]
    value, in_u, in_v = differentiate(lambda u, v: u[0] * v[0] ** 2, u, v, u, v)
    np.testing.assert_array_equal(value, [9.0, 32.0])
    np.testing.assert_array_equal(in_u[0], [9.0, 16.0])
    np.testing.assert_array_equal(in_v[0], [6.0, 16.0])


def test_an_unused_variable_has_gradient_zero():
    u = [tf.constant([1.0, 2.0]), tf.constant(3.0)]
    _, gradient = differentiate(lambda u, v: u[1] * v[0], u, [tf.constant(2.0)], u)
    np.testing.assert_array_equal(gradient[0], [0.0, 0.0])
    assert float(gradient[1]) == 2.0


def test_sparse_gradients_become_dense():
    u, v = [tf.constant([1.0, 2.0])], [tf.constant(3.0)]
    _, gradient = differentiate(lambda u, v: tf.gather(u[0], 1) * v[0], u, v, u)
    np.testing.assert_array_equal(gradient[0].numpy(), [0.0, 3.0])


def test_the_sum_over_one_replica_is_the_identity():
    tensors = [tf.constant(1.0)]
    assert cross_replica_sum(tensors) is tensors


def test_reduce_is_a_hook():
    class Doubled(Simultaneous):
        def reduce(self, tensors):
            return [2 * x for x in tensors]

    u, v = keras.Variable(1.0), keras.Variable(1.0)
    solver = Doubled(u_optimizer=0.25, v_optimizer=0.25).build([u], [v])
    metrics = solver.step(lambda u, v: u[0] * v[0])
    assert [float(x.numpy()) for x in (u, v)] == [0.5, 1.5]
    assert float(metrics["value"]) == 2.0


def test_metrics_in_float64_stay_there():
    u, v = keras.Variable(1.0, dtype="float64"), keras.Variable(1.0, dtype="float64")
    metrics = Simultaneous().build([u], [v]).step(lambda u, v: u[0] * v[0])
    assert {x.dtype for x in metrics.values()} == {tf.float64}


def test_refuses_mixed_types():
    u, v = keras.Variable(1.0, dtype="float64"), keras.Variable(1.0, dtype="float32")
    with pytest.raises(ValueError, match=r"Received \['float32', 'float64'\]"):
        Simultaneous().build([u], [v])


def test_the_interface_itself_has_no_rule():
    with pytest.raises(NotImplementedError):
        Solver().step(lambda u, v: u)
