"""Eq. 8's gradient against closed form, central differences and the finite-difference form."""

import contextlib
import dataclasses
import functools
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmtf.attacks.iterated import IteratedAttack
from mmtf.errors import ConfigError
from mmtf.games.lwa import LWA
from mmtf.games.minimax_grad import MinimaxGrad
from mmtf.games.players import Batch, Players, StepContext
from mmtf.nets import NETS
from mmtf.threat import ThreatModel
from mmtf.training.dropout import seeded_dropout

THREAT = ThreatModel(eta=0.3)


def a_context(size):
    return StepContext(
        round=tf.constant(0),
        seed=tf.constant([0, 1]),
        global_batch_size=size,
        replicas=1,
        dropout=lambda *models, also=(): contextlib.nullcontext(),
    )


def linear_net(seed=0):
    dense = keras.layers.Dense(
        3, kernel_initializer=keras.initializers.RandomNormal(0, 0.7, seed=seed), dtype="float64"
    )
    return keras.Sequential(
        [keras.Input((2, 2, 1), dtype="float64"), keras.layers.Flatten(dtype="float64"), dense]
    )


def some_batch(size=5, seed=1):
    random = np.random.default_rng(seed)
    return random.uniform(-1, 1, [size, 2, 2, 1]), random.integers(0, 3, size)


def closed_form(weights, bias, z, y, factor, fused=False):
    """(objective, d/dW, d/db) of mean l + factor/2 mean ||dl/dz||^2 for logits z W + b.

    With p = softmax, e = onehot, r = p - e, J = diag(p) - pp', g = dl/dz = W r:
    d/dW' [||W r||^2 / 2] = r g' + (J W' g) z'. Fused, d/dW' is the one product
    (r + factor J W' g) (z + factor g)'.
    """
    n, flat = len(z), z.reshape(len(z), -1)
    value, d_weights, d_bias = 0.0, np.zeros_like(weights), np.zeros_like(bias)
    for x, label in zip(flat, y, strict=True):
        logits = x @ weights + bias
        p = np.exp(logits - logits.max())
        p /= p.sum()
        r = p - np.eye(len(bias))[label]
        g = weights @ r
        jacobian = np.diag(p) - np.outer(p, p)
        through = jacobian @ (weights.T @ g)
        value += (-np.log(p[label]) + factor / 2 * g @ g) / n
        d_weights += (np.outer(x, r) + factor * (np.outer(g, r) + np.outer(x, through))) / n
        if fused:
            d_weights += factor**2 * np.outer(g, through) / n
        d_bias += (r + factor * through) / n
    return value, d_weights, d_bias


def objective_of(game, net, z, y, context):
    batch = Batch(z, y)
    return game.objective(Players({"classifier": net}, {}), batch, batch, context)


def gradients(game, net, z, y):
    z = tf.constant(z)
    with tf.GradientTape() as tape:
        objective, metrics = objective_of(game, net, z, tf.constant(y), a_context(len(y)))
    return objective, tape.gradient(objective, net.trainable_variables), metrics


@pytest.mark.parametrize("penalty", ["nested", "fused"])
@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.5])
def test_gradient_is_the_closed_form(gamma, penalty):
    net, (z, y) = linear_net(), some_batch()
    game = MinimaxGrad(THREAT, gamma=gamma, penalty=penalty)
    objective, found, _ = gradients(game, net, z, y)
    weights, bias = (variable.numpy() for variable in net.trainable_variables)
    value, d_weights, d_bias = closed_form(
        weights, bias, z, y, gamma * THREAT.eta, fused=penalty == "fused"
    )
    # float64 throughout: sums of some ten products, 1e-12 is a thousand roundings.
    np.testing.assert_allclose(objective, value, rtol=1e-12)
    np.testing.assert_allclose(found[0], d_weights, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found[1], d_bias, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("penalty", ["nested", "fused"])
@pytest.mark.parametrize("every", [2, 3])
def test_penalty_of_one_example_in_some(every, penalty):
    """Eq. 8 with its second sum over examples 0, k, 2k, ..., which stand for all of them."""
    net, (z, y) = linear_net(), some_batch(size=8)
    game = MinimaxGrad(THREAT, gamma=2.5, penalty=penalty, penalty_every=every)
    objective, found, metrics = gradients(game, net, z, y)
    weights, bias = (variable.numpy() for variable in net.trainable_variables)

    def form(start, step, factor):
        part = z[start::step], y[start::step]
        share = len(part[0]) / len(z)
        three = closed_form(weights, bias, *part, factor, fused=penalty == "fused")
        return [share * one for one in three]

    some = form(0, every, 2.5 * THREAT.eta * 8 / len(z[::every]))
    expected = [some, *(form(start, every, 0.0) for start in range(1, every))]
    expected = [sum(one) for one in zip(*expected, strict=True)]
    for ours, theirs in zip([objective, *found], expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(metrics["risk"], form(0, 1, 0.0)[0], rtol=1e-12)
    np.testing.assert_allclose(metrics["sensitivity"], expected[0] - form(0, 1, 0.0)[0], rtol=1e-9)


def test_a_batch_of_one_has_the_penalty():
    net, (z, y) = linear_net(), some_batch(size=1)
    found = [gradients(MinimaxGrad(THREAT, penalty_every=k), net, z, y)[0] for k in (1, 2)]
    assert float(found[0]) == float(found[1])


def test_finite_difference_on_every_second_example_has_the_masks_of_its_first_pass():
    """With dropout the difference is of two passes by the same masks: nested on a smooth net."""
    dropout = keras.layers.Dropout(0.5, seed=1, dtype="float64")
    inner = smooth_net()
    net = keras.Sequential([inner.inputs[0], *inner.layers[:-1], dropout, inner.layers[-1]])
    z, y = image_batch()
    context = dataclasses.replace(
        a_context(len(y)), dropout=functools.partial(seeded_dropout, seed=tf.constant([3, 4]))
    )

    def gradient(**options):
        game = MinimaxGrad(THREAT, gamma=50.0, penalty_every=2, **options)
        with tf.GradientTape() as tape, context.dropout(net):
            objective, _ = objective_of(game, net, tf.constant(z), tf.constant(y), context)
        found = tape.gradient(objective, net.trainable_variables)
        return np.concatenate([np.ravel(one) for one in found])

    nested = gradient()
    difference = gradient(penalty="finite_difference", difference_length=1e-5)
    np.testing.assert_allclose(difference, nested, rtol=1e-3, atol=1e-5 * np.abs(nested).max())


def test_penalties_of_all_parts_add_up_to_the_whole():
    """What makes one of them an unbiased estimate."""
    net, (z, y) = linear_net(), some_batch(size=6)
    whole = penalty_gradient(net, z, y)
    parts = [
        penalty_gradient(net, np.roll(z, -k, 0), np.roll(y, -k), penalty_every=3) for k in range(3)
    ]
    np.testing.assert_allclose(np.mean(parts, 0), whole, rtol=1e-12, atol=1e-12)
    assert np.abs(parts[0] - whole).max() > 1e-3


def smooth_net():
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((8, 8, 1), dtype="float64"),
            layers.Conv2D(4, 3, activation="softplus", dtype="float64"),
            layers.AveragePooling2D(2, dtype="float64"),
            layers.Flatten(dtype="float64"),
            layers.Dense(3, dtype="float64"),
        ]
    )


def image_batch(size=6):
    random = np.random.default_rng(3)
    return random.uniform(-1, 1, [size, 8, 8, 1]), random.integers(0, 3, size)


def test_gradient_agrees_with_central_differences():
    keras.utils.set_random_seed(0)
    net, (z, y) = smooth_net(), image_batch()
    game = MinimaxGrad(THREAT, gamma=3.0)
    _, found, _ = gradients(game, net, z, y)
    h = 1e-5
    for variable, gradient in zip(net.trainable_variables, found, strict=True):
        direction = np.random.default_rng(0).standard_normal(variable.shape)
        start = variable.numpy()
        values = []
        for sign in (1, -1):
            variable.assign(start + sign * h * direction)
            values.append(float(gradients(game, net, z, y)[0]))
        variable.assign(start)
        # Truncation h^2 = 1e-10 times third derivatives of order 10, rounding 1e-16 / h = 1e-11.
        numeric = (values[0] - values[1]) / (2 * h)
        np.testing.assert_allclose(np.sum(gradient * direction), numeric, rtol=1e-6, atol=1e-8)


def penalty_gradient(net, z, y, **options):
    """The flattened gradient of the penalty alone, by difference with gamma = 0."""
    parts = []
    for gamma in (1.0, 0.0):
        found = gradients(MinimaxGrad(THREAT, gamma=gamma, **options), net, z, y)[1]
        parts.append(np.concatenate([np.ravel(one) for one in found]))
    return parts[0] - parts[1]


def cosine(a, b):
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


def test_finite_difference_equals_nested_on_a_smooth_net():
    keras.utils.set_random_seed(0)
    net, (z, y) = smooth_net(), image_batch()
    nested = penalty_gradient(net, z, y)
    difference = penalty_gradient(net, z, y, penalty="finite_difference", difference_length=1e-5)
    # One-sided: the error is of order length times third derivatives.
    np.testing.assert_allclose(difference, nested, rtol=1e-3, atol=1e-5 * np.abs(nested).max())


def test_finite_difference_is_another_regularizer_on_a_relu_net():
    net = NETS["mnist_cnn"](dropout=0.0, seed=2)
    random = np.random.default_rng(4)
    z = random.uniform(-1, 1, [16, 28, 28, 1]).astype(np.float32)
    y = random.integers(0, 10, 16).astype(np.int32)
    nested = penalty_gradient(net, z, y)
    difference = penalty_gradient(net, z, y, penalty="finite_difference")
    assert cosine(nested, difference) < 0.9


def test_fused_is_nested_up_to_second_order_in_gamma():
    keras.utils.set_random_seed(0)
    net, (z, y) = smooth_net(), image_batch()
    errors = []
    for gamma in (1.0, 2.0):
        both = [
            gradients(MinimaxGrad(THREAT, gamma=gamma, penalty=one), net, z, y)[1]
            for one in ("nested", "fused")
        ]
        errors.append([fused - nested for nested, fused in zip(*both, strict=True)])
    for once, twice, variable in zip(*errors, net.trainable_variables, strict=True):
        if variable.path.endswith("bias"):
            # Sums of at most 6 x 36 numbers below 1, in another order: 216^2 roundings of 2^-53.
            np.testing.assert_allclose(twice, 0, atol=216**2 * 2.0**-53)
        else:
            # Exactly to_kernel(gamma a', gamma b'): four times as much, up to float64's rounding.
            assert np.abs(once).max() > 1e-6
            np.testing.assert_allclose(twice, 4 * once, rtol=1e-6, atol=1e-12)


def test_fused_is_the_same_regularizer_on_a_relu_net():
    net = NETS["mnist_cnn"](dropout=0.0, seed=2)
    random = np.random.default_rng(4)
    z = random.uniform(-1, 1, [16, 28, 28, 1]).astype(np.float32)
    y = random.integers(0, 10, 16).astype(np.int32)
    nested, fused = (penalty_gradient(net, z, y, penalty=one) for one in ("nested", "fused"))
    # What is of second order is eta |dl/dz| ~ 0.3 x 0.14 times smaller than the penalty's part.
    assert np.linalg.norm(fused - nested) < 0.05 * np.linalg.norm(nested)


def test_min_step_holds_z_constant():
    """The step's move under SGD is the closed form at z = FGSM(x), with no path through z."""
    net, (x, y) = linear_net(), some_batch()
    game = MinimaxGrad(THREAT)
    optimizer = keras.optimizers.SGD(1.0)
    optimizer.build(net.trainable_variables)
    players = Players({"classifier": net}, {"classifier": optimizer})
    before = [variable.numpy() for variable in net.trainable_variables]
    weights, bias = before
    flat = x.reshape(len(x), -1)
    logits = flat @ weights + bias
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    towards = np.sign((p - np.eye(3)[y]) @ weights.T).reshape(x.shape)
    z = np.clip(x + 0.3 * towards, -1, 1)
    _, d_weights, d_bias = closed_form(weights, bias, z, y, THREAT.eta)
    game.step(players, Batch(tf.constant(x), tf.constant(y)), a_context(len(y)))
    after = [variable.numpy() for variable in net.trainable_variables]
    np.testing.assert_allclose(before[0] - after[0], d_weights, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(before[1] - after[1], d_bias, rtol=1e-9, atol=1e-12)


def test_gamma_zero_is_lwa():
    moves = []
    for game in (MinimaxGrad(THREAT, gamma=0.0), LWA(THREAT)):
        net, (x, y) = linear_net(), some_batch()
        optimizer = keras.optimizers.SGD(1.0)
        optimizer.build(net.trainable_variables)
        players = Players({"classifier": net}, {"classifier": optimizer})
        game.step(players, Batch(tf.constant(x), tf.constant(y)), a_context(len(y)))
        moves.append(net.get_weights())
    np.testing.assert_array_equal(moves[0][0], moves[1][0])


def test_several_max_steps_raise_the_risk():
    net, (x, y) = smooth_net(), image_batch()
    players, batch = Players({"classifier": net}, {}), Batch(tf.constant(x), y)
    one = MinimaxGrad(THREAT).perturb(players, batch, None).x
    many = MinimaxGrad(THREAT, max_steps=10).perturb(players, batch, None).x
    risk = [float(gradients(LWA(THREAT), net, z, y)[0]) for z in (one.numpy(), many.numpy())]
    assert not THREAT.violations(many.numpy(), x).any()
    assert risk[1] > risk[0] - 1e-3
    steps = IteratedAttack(THREAT, steps=10, stop_early=False)(net, tf.constant(x), y)
    np.testing.assert_array_equal(many, steps)
    assert np.abs(many - one).max() > 1e-3


@pytest.mark.parametrize(
    "options",
    [
        {"gamma": -1},
        {"gamma": math.inf},
        {"penalty": "exact"},
        {"penalty_every": 0},
        {"max_steps": 0},
    ],
)
def test_impossible_options(options):
    with pytest.raises(ConfigError, match="Expected .* Received"):
        MinimaxGrad(THREAT, **options)
