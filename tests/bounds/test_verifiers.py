"""Verifiers: closed forms, exact programs, sampled images, and what must not change a bound."""

import itertools

import keras
import numpy as np
import pytest
import scipy.optimize
import tensorflow as tf

from mmtf.bounds import BOUNDS, crown
from mmtf.bounds.alpha_crown import AlphaCrown
from mmtf.bounds.balls import Ball, minimum
from mmtf.bounds.graph import Graph
from mmtf.bounds.interval import row_norms
from mmtf.errors import ConfigError
from mmtf.threat import ThreatModel

L = keras.layers
LINES = ("ibp", "crown_ibp", "crown", "alpha_crown")
BALLS = (Ball(eta=0.2), Ball(eta=0.4, norm="l2"), Ball(eta=0.5, norm="l1"))
# Float64 bounds of small nets: some hundred roundings of 1e-16.
ROUNDING = 1e-12


@pytest.fixture(scope="module")
def tiny():
    """A net of 3 pixels and 7 ReLUs in two layers, as a graph."""
    keras.utils.set_random_seed(3)
    dense = [L.Dense(4, activation="relu"), L.Dense(3), L.LeakyReLU(0.1), L.Dense(3)]
    model = keras.Sequential([keras.Input((3,)), *dense])
    for weight in model.weights:  # large weights, and biases that make ReLUs unstable
        weight.assign(np.random.default_rng(len(weight.shape)).normal(0, 1, weight.shape))
    return Graph(model)


@pytest.fixture(scope="module")
def rich():
    """A residual net with pooling, batch normalization, GELU and tanh, as a graph."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 6, 2))
    first = L.Conv2D(3, 3, padding="same", activation="relu")(inputs)
    z = L.BatchNormalization()(L.Conv2D(3, 3, padding="same")(first))
    z = L.MaxPooling2D(3, 2, padding="same")(L.Activation("gelu")(L.Add()([first, z])))
    z = L.Dense(5, activation="tanh")(L.Flatten()(z))
    return Graph(keras.Model(inputs, L.Dense(3)(z)))


def examples(graph, count=4):
    x = np.random.default_rng(1).uniform(-1, 1, (count, *graph.nodes[0].shape)).astype(np.float32)
    x[0] = np.sign(x[0])  # pixels at both ends of the box
    return x, np.arange(count) % graph.num_classes


def margins(graph, z, y):
    logits = graph.forward(z).numpy()
    return np.take_along_axis(logits, y[:, None], 1) - logits


def sampled(graph, x, y, ball, count):
    """The least margins over random images of the ball and its corners, [N, C]."""
    rng, least = np.random.default_rng(2), np.full([len(x), graph.num_classes], np.inf)
    forward = graph.compiled("sampled", graph.forward)
    for part in range(0, count, 500):
        shape = (500, *x.shape)
        if ball.norm == "linf":
            delta = ball.eta * rng.choice([-1.0, 1.0], shape)
            delta *= rng.uniform(size=shape) if part % 1000 else 1.0
        else:
            delta = rng.normal(size=shape) * (rng.uniform(size=shape) < 0.2)
            flat = np.abs(delta).reshape(500, len(x), -1)
            size = flat.sum(-1) if ball.norm == "l1" else np.sqrt((flat**2).sum(-1))
            size = np.maximum(size, 1e-9).reshape(size.shape + (1,) * (x.ndim - 1))
            delta *= ball.eta / size * (1 - 1e-12)
        z = np.clip(x + delta, -1, 1)
        logits = forward(tf.constant(z.reshape(-1, *x.shape[1:]))).numpy()
        logits = logits.reshape(500, len(x), -1)
        own = np.take_along_axis(logits, np.broadcast_to(y[None, :, None], (500, len(x), 1)), 2)
        least = np.minimum(least, (own - logits).min(0))
    return least


@pytest.mark.parametrize("ball", BALLS, ids=lambda ball: ball.norm)
def test_bounds_of_linear_models_are_exact(ball):
    """Every verifier gives <w_y - w_j, z> minimized exactly, through rescaling and flattening."""
    model = keras.Sequential(
        [keras.Input((2, 3)), L.Rescaling(0.5, 0.1), L.Flatten(), L.Dense(4), L.Dense(3)]
    )
    graph = Graph(model)
    x, y = examples(graph)
    first, second = (layer.kernel.numpy().astype(np.float64) for layer in model.layers[2:])
    weights = 0.5 * first @ second
    clean = margins(graph, x, y)
    wanted = np.full_like(clean, np.inf)
    for j in range(3):
        a = (weights[:, y] - weights[:, [j]]).T.reshape(x.shape)
        least = minimum(ball.norm, tf.constant(a), ball.region(x)).numpy()
        others = y != j
        moved = least - (a * x).reshape(len(x), -1).sum(1)
        wanted[others, j] = (clean[:, j] + moved)[others]
    for name in LINES + (("milp",) if ball.norm != "l2" else ()):
        slack = 3e-6 if name == "milp" else ROUNDING  # milp subtracts 1e-6, its own tolerance
        np.testing.assert_allclose(BOUNDS[name](graph)(x, y, ball), wanted, atol=slack)


@pytest.mark.parametrize("ball", BALLS, ids=lambda ball: ball.norm)
def test_verifiers_are_ordered_and_below_every_sample(tiny, ball):
    x, y = examples(tiny)
    found = [BOUNDS[name](tiny)(x, y, ball) for name in LINES]
    if ball.norm != "l2":
        found.append(BOUNDS["milp"](tiny)(x, y, ball) + 2e-6)  # see milp.SLACK
    for looser, tighter in itertools.pairwise(found):
        assert (looser <= tighter + 2e-6).all()
    least = sampled(tiny, x, y, ball, 10_000)
    least[np.arange(len(x)), y] = np.inf
    assert (found[-1] <= least + 4e-6).all()
    assert (found[0] < found[2] - 1e-3).any() and (found[2] < found[3] - 1e-3).any()


def test_milp_is_the_least_over_all_activation_patterns(tiny):
    x, y = examples(tiny, 2)
    ball = Ball(eta=0.3)
    found = BOUNDS["milp"](tiny)(x, y, ball)
    model = tiny.classifier.model
    layers = [layer.get_weights() for layer in model.layers if layer.get_weights()]
    (w1, b1), (w2, b2), (w3, b3) = [[np.float64(part) for part in one] for one in layers]
    slope = float(np.float32(0.1))
    for i in range(2):
        box = list(zip(np.maximum(x[i] - 0.3, -1), np.minimum(x[i] + 0.3, 1), strict=True))
        least = np.full(3, np.inf)
        for pattern in itertools.product((0, 1), repeat=7):
            on1, on2 = np.array(pattern[:4]), np.array(pattern[4:])
            a1, c1 = w1 * on1, b1 * on1
            z2, d2 = a1 @ w2, c1 @ w2 + b2
            gain = np.where(on2 == 1, 1.0, slope)
            a3, c3 = (z2 * gain) @ w3, (d2 * gain) @ w3 + b3
            sides = np.concatenate([(1 - 2 * on1) * w1, (1 - 2 * on2) * z2], 1).T
            limits = -np.concatenate([(1 - 2 * on1) * b1, (1 - 2 * on2) * d2])
            for j in set(range(3)) - {int(y[i])}:
                solved = scipy.optimize.linprog(
                    a3[:, y[i]] - a3[:, j], A_ub=sides, b_ub=limits, bounds=box
                )
                if solved.status == 0:
                    least[j] = min(least[j], solved.fun + c3[y[i]] - c3[j])
        # HiGHS: 1e-7 in the constraints, times the net's slopes; milp subtracts 1e-6.
        np.testing.assert_allclose(found[i], least, atol=1e-5)


@pytest.mark.parametrize("ball", BALLS, ids=lambda ball: ball.norm)
def test_rich_nets_are_bounded_below_every_sample(rich, ball):
    x, y = examples(rich, 3)
    small = Ball(eta=ball.eta / 4, norm=ball.norm)
    least = sampled(rich, x, y, small, 1000)
    before = -np.inf
    for name in LINES:
        found = BOUNDS[name](rich)(x, y, small)
        found[np.arange(3), y] = 0.0
        assert (found <= least + ROUNDING).all() and (found >= before).all()
        before = found
    assert (before > -10).all()  # not trivial: IBP alone is looser


def test_pooled_nets_are_refined_where_it_helps():
    """Skipped rows, of pooled values, change no bound: all rows give the same."""
    keras.utils.set_random_seed(5)
    convolution = [L.Conv2D(3, 3, activation="relu"), L.Conv2D(4, 2), L.MaxPooling2D(2), L.ReLU()]
    layers = [keras.Input((7, 7, 1)), *convolution, L.Flatten(), L.Dense(3)]
    graph = Graph(keras.Sequential(layers))
    x, y = examples(graph, 3)
    found = BOUNDS["crown"](graph)(x, y, Ball(eta=0.1))
    everything = np.vectorize(lambda low: True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(crown, "_loose", lambda p, i, _: everything(p.boxes[i][0].numpy()))
        np.testing.assert_allclose(found, BOUNDS["crown"](graph)(x, y, Ball(eta=0.1)), atol=1e-9)
    assert (BOUNDS["ibp"](graph)(x, y, Ball(eta=0.1)) < found - 1e-3).any()


def test_bounds_fall_with_the_radius_and_tend_to_the_margin(rich):
    x, y = examples(rich, 3)
    clean = margins(rich, x, y)
    clean[np.arange(3), y] = np.inf
    for name in LINES:
        verifier = BOUNDS[name](rich)
        found = [verifier(x, y, Ball(eta=eta)) for eta in (1e-9, 1e-3, 1e-2, 3e-2)]
        for wide, narrow in itertools.pairwise(reversed(found)):
            assert (wide <= narrow + ROUNDING).all()
        # The margin's slope in linf is far below 1000 for weights of this size.
        np.testing.assert_allclose(found[0], clean, atol=1e-6)


def test_chunks_batches_and_order_change_nothing(rich):
    x, y = examples(rich, 4)
    for ball in (Ball(eta=0.03), Ball(eta=0.1, norm="l2")):
        whole = BOUNDS["crown"](rich)(x, y, ball)
        order = np.array([2, 0, 3, 1])
        for found in (
            BOUNDS["crown"](rich, chunk=7)(x, y, ball),
            BOUNDS["crown"](rich, batch_size=3)(x, y, ball),
            BOUNDS["crown"](rich)(x[order], y[order], ball)[np.argsort(order)],
        ):
            np.testing.assert_allclose(found, whole, atol=ROUNDING)


def test_a_threat_model_is_its_ball(tiny):
    x, y = examples(tiny)
    one = BOUNDS["crown"](tiny)(x, y, ThreatModel(eta=0.1, norm="l2"))
    np.testing.assert_array_equal(one, BOUNDS["crown"](tiny)(x, y, Ball(eta=0.1, norm="l2")))
    assert one.dtype == np.float64 and one.shape == (4, 3)
    assert np.isposinf(one[np.arange(4), y]).all()


def test_alpha_crown_starts_at_crown(tiny):
    x, y = examples(tiny)
    start = AlphaCrown(tiny, iterations=0)(x, y, BALLS[0])
    np.testing.assert_allclose(start, BOUNDS["crown"](tiny)(x, y, BALLS[0]), atol=ROUNDING)


def test_row_norms_are_those_of_the_matrix(rich):
    """The first convolution's rows, from its values at the unit images."""
    node, shape = rich.nodes[1], rich.nodes[0].shape
    basis = tf.reshape(tf.eye(72, dtype=tf.float64), [72, *shape])
    columns = np.abs(node.operation.linear(basis).numpy())
    l2, l1 = (row_norms(rich, norm, 50)[1].numpy()[0] for norm in ("l2", "l1"))
    np.testing.assert_allclose(l2, np.sqrt((columns**2).sum(0)), rtol=1e-12)
    np.testing.assert_allclose(l1, columns.max(0), rtol=1e-12)
    assert row_norms(rich, "linf", 50) == {}


def test_wrong_arguments(tiny, rich):
    x, y = examples(tiny)
    verifier = BOUNDS["ibp"](tiny, batch_size=4)
    for arguments, message in (
        ((x[:, :2], y, BALLS[0]), r"images \(3,\)"),
        ((x, y[:2], BALLS[0]), "4 labels"),
        ((x, np.append(y, y), BALLS[0]), "4 labels"),
        ((x, y + 9, BALLS[0]), "labels from 0 to 2"),
        ((x, y, 0.3), "Expected threat="),
        ((x[:0], y[:0], BALLS[0]), "at least one image"),
    ):
        with pytest.raises(ConfigError, match=message):
            verifier(*arguments)
    with pytest.raises(ConfigError, match="ReLU activations for milp. Received: layer 'activation"):
        BOUNDS["milp"](rich)(*examples(rich), BALLS[0])
    with pytest.raises(ConfigError, match="linf or l1 ball"):
        BOUNDS["milp"](tiny)(x, y, BALLS[1])
    with pytest.raises(ConfigError, match="verifier to be one of ibp"):
        BOUNDS["exact"]
    for options in ({"chunk": 0}, {"batch_size": 0}):
        with pytest.raises(ConfigError):
            BOUNDS["ibp"](tiny, **options)
