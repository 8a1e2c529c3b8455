"""A game with curvature, and central differences in float64 to check second-order rules with."""

import keras
import numpy as np
import tensorflow as tf

from mmtf.solvers.base import differentiate

# Central differences err by h^2 f'''/6 and 1e-16 f/h, with f and f''' of order 10 or less.
STEP, TOLERANCE = 1e-5, 1e-8


def f(u, v):
    """Two variables for each player, of different shapes, coupled through every pair."""
    inner = tf.linalg.matvec(u[0], v[0]) + tf.tanh(u[1])
    return tf.reduce_sum(tf.exp(0.3 * tf.sin(inner)) * v[1]) - 0.5 * tf.reduce_sum(v[0] ** 4)


def start(seed=0):
    rng = np.random.default_rng(seed)
    shapes = [(2, 3), (2,)], [(3,), (2,)]
    return [[tf.constant(0.7 * rng.normal(size=s)) for s in player] for player in shapes]


def central_differences(g, tensors):
    """The gradient of the scalar g at a list of float64 tensors."""
    gradients = []
    for i, tensor in enumerate(tensors):
        gradient = np.zeros(tensor.shape)
        for index in np.ndindex(*tensor.shape):
            values = []
            for sign in (1, -1):
                moved = tensor.numpy()
                moved[index] += sign * STEP
                at = [*tensors[:i], tf.constant(moved), *tensors[i + 1 :]]
                values.append(float(g(at)))
            gradient[index] = (values[0] - values[1]) / (2 * STEP)
        gradients.append(gradient)
    return gradients


def gradient_v(u, v):
    return differentiate(f, u, v, v)[1]


def squares(tensors):
    return sum(float(tf.reduce_sum(x * x)) for x in tensors)


def directions(solver, u, v):
    """What a step with u_optimizer=1 and v_optimizer=1 does: (descent of u, ascent of v)."""
    u_variables = [keras.Variable(x, dtype="float64") for x in u]
    v_variables = [keras.Variable(x, dtype="float64") for x in v]
    solver.build(u_variables, v_variables).step(f)
    return (
        [x.numpy() - y.numpy() for x, y in zip(u, u_variables, strict=True)],
        [y.numpy() - x.numpy() for x, y in zip(v, v_variables, strict=True)],
    )


def assert_close(got, expected):
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=TOLERANCE)
