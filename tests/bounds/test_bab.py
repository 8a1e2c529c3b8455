"""Branch and bound: the exact program, exact nets, attacks, and faults that are caught."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import mmtf
from mmtf.attacks import PGD
from mmtf.bounds import BOUNDS, Ball, certify, split_bounds
from mmtf.bounds.bab import BaB
from mmtf.bounds.certificates import InvertedBracket
from mmtf.bounds.graph import Graph
from mmtf.bounds.problem import Problem
from mmtf.bounds.reduced import reduce_example
from mmtf.bounds.split_search import GAP
from mmtf.bounds.verifier import Deadline
from mmtf.errors import ConfigError

L = keras.layers
# Of HiGHS, relative to margins above 1 (`milp`), for two results.
SLACK = 4e-6


@pytest.fixture(scope="module")
def residual():
    """A residual net with 4 pixels, 11 ReLUs and leaky ReLUs in three layers, as a graph."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((2, 2, 1))
    first = L.Dense(4, activation="relu")(L.Flatten()(inputs))
    z = L.ReLU()(L.Add()([first, L.Dense(4)(first)]))
    model = keras.Model(inputs, L.Dense(3)(L.LeakyReLU(0.1)(L.Dense(3)(z))))
    for weight in model.weights:  # biases that make ReLUs unstable
        weight.assign(np.random.default_rng(len(weight.shape)).normal(0, 0.6, weight.shape))
    x = np.random.default_rng(1).uniform(-1, 1, (3, 2, 2, 1)).astype(np.float32)
    return Graph(model), x, np.arange(3)


@pytest.fixture(scope="module")
def trained():
    """A net of digits at 7x7 pixels after 100 steps, as a graph, 16 images and PGD's results."""
    data = mmtf.load_data("digits")

    def small(images):
        return np.float32(images).reshape(-1, 7, 4, 7, 4, 1).mean((2, 4))

    keras.utils.set_random_seed(0)
    layers = [L.Conv2D(4, 3, strides=2, activation="relu"), L.Flatten()]
    layers += [L.Dense(12, activation="relu"), L.Dense(10)]
    model = keras.Sequential([keras.Input((7, 7, 1)), *layers])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-2), loss)
    x, y = data.train()
    model.fit(small(x), y, batch_size=64, epochs=4, verbose=0)
    x, y = data.test(16)
    x, threat = small(x), mmtf.ThreatModel(eta=0.1)
    graph = Graph(model)
    return graph, x, y, threat, PGD(threat, steps=20)(graph.classifier, x, y)


@pytest.mark.parametrize("norm, eta", [("linf", 0.5), ("l1", 0.9)])
def test_it_finds_the_least_margin_as_the_exact_program_does(residual, norm, eta):
    graph, x, y = residual
    ball = Ball(eta=eta, norm=norm)
    exact, found = BOUNDS["milp"](graph)(x, y, ball), BOUNDS["bab"](graph)(x, y, ball)
    size = np.where(np.isfinite(exact), np.maximum(1.0, np.abs(exact)), 1.0)
    finite = np.isfinite(exact)
    assert (found <= exact + SLACK * size).all()
    # Without a required margin the search ends at this distance.
    assert (found >= exact - (GAP + SLACK) * size)[finite].all()
    assert (BOUNDS["alpha_crown"](graph)(x, y, ball) < found - 1e-2).any()


def test_in_l2_balls_it_lies_between_alpha_crown_and_samples(residual):
    graph, x, y = residual
    ball = Ball(eta=0.6, norm="l2")
    found = BaB(graph, limit=100)(x, y, ball)
    assert (BOUNDS["alpha_crown"](graph)(x, y, ball) <= found + 1e-12).all()
    delta = np.random.default_rng(0).normal(size=(2000, 3, 4))
    delta *= 0.6 / np.linalg.norm(delta, axis=-1, keepdims=True)
    z = np.clip(x + delta.reshape(2000, 3, 2, 2, 1), -1, 1)
    logits = graph.forward(tf.reshape(z, [-1, 2, 2, 1])).numpy().reshape(2000, 3, 3)
    least = (logits[:, np.arange(3), y][:, :, None] - logits).min(0)
    least[np.arange(3), y] = np.inf
    assert (found <= least + 1e-12).all()


def test_a_reduced_net_is_the_net_on_the_ball(residual):
    graph, x, y = residual
    problem = Problem.of(graph, Ball(eta=0.4), x, y)
    BOUNDS["crown"](graph).tighten(problem, Deadline())
    reduced = reduce_example(problem, 1, np.array([0, 2]))
    rng = np.random.default_rng(0)
    low, high = (part.numpy()[1] for part in problem.region[1:3])
    z = rng.uniform(low, high, (50, 2, 2, 1))
    inputs, margins = reduced.values(z.reshape(50, -1))
    logits = graph.forward(z).numpy()
    np.testing.assert_allclose(margins, logits[:, [1]] - logits[:, [0, 2]], atol=1e-12)
    assert 0 < reduced.units <= 11
    assert (reduced.low <= inputs + 1e-12).all() and (inputs <= reduced.high + 1e-12).all()


def test_it_decides_as_the_exact_program_and_pgd_breaks_no_certificate(trained):
    graph, x, y, threat, z = trained
    before = certify(graph, x, y, threat, ("ibp", "crown"), adversarial=[z])
    exact = certify(graph, x, y, threat, ("ibp", "crown", "milp"), adversarial=[z])
    found = certify(graph, x, y, threat, ("ibp", "crown", "bab"), adversarial=[z])
    assert (before.status == "open").any() and not (found.status == "open").any()
    assert (found.status == exact.status).all()
    assert set(found.stage[before.status == "open"]) == {"bab"}
    # Its own counterexamples are found without an attack, too.
    alone = certify(graph, x, y, threat, ("ibp", "bab"))
    assert (alone.status == exact.status).all() and "broken" in alone.status


def test_parts_and_order_change_no_decision(trained):
    graph, x, y, threat, _ = trained
    whole = certify(graph, x, y, threat, ("ibp", "bab")).status
    one = certify(graph, x, y, threat, ("ibp", BaB(graph, parts=1, candidates=2))).status
    order = np.random.default_rng(0).permutation(len(x))
    other = certify(graph, x[order], y[order], threat, ("ibp", "bab"), batch_size=5).status
    assert (one == whole).all() and (other == whole[order]).all()


def test_a_wrong_bound_is_caught(trained, monkeypatch):
    graph, x, y, threat, z = trained
    right = split_bounds.bound

    def wrong(*arguments):
        least, *others = right(*arguments)
        return (least + 10.0, *others)

    monkeypatch.setattr(split_bounds, "bound", wrong)
    with pytest.raises(InvertedBracket, match="Example .*: bab proves"):
        certify(Graph(graph.classifier), x, y, threat, ("ibp", "bab"), adversarial=[z])


def test_it_stops_in_time_and_at_its_limit(trained):
    graph, x, y, threat, _ = trained
    crown = certify(graph, x, y, threat, ("ibp", "crown"))
    late = certify(graph, x, y, threat, ("ibp", "crown", "bab"), seconds_per_image=1e-9)
    assert (late.status == certify(graph, x, y, threat, ("ibp",)).status).all()
    some = certify(graph, x, y, threat, ("ibp", "crown", BaB(graph, limit=1)))
    whole = certify(graph, x, y, threat, ("ibp", "crown", "bab"))
    assert crown.certified_error >= some.certified_error >= whole.certified_error


def test_wrong_arguments(residual):
    graph, x, y = residual
    for name in ("parts", "limit", "iterations", "candidates"):
        with pytest.raises(ConfigError, match=name):
            BaB(graph, **{name: 0})
    smooth = keras.Sequential([keras.Input((3,)), L.Dense(3, activation="tanh"), L.Dense(3)])
    with pytest.raises(ConfigError, match="ReLU activations for bab. Received: layer 'dense"):
        BOUNDS["bab"](smooth)(np.zeros([1, 3], np.float32), np.array([0]), Ball(eta=0.1))


@pytest.mark.parametrize("name", ["bab", "milp"])
def test_activations_at_the_end_and_after_one_another(name):
    for end in ([L.ReLU()], [L.LeakyReLU(0.5), L.ReLU()]):
        model = keras.Sequential([keras.Input((1,)), L.Dense(2), *end])
        model.set_weights([np.array([[0.0, 2.0]]), np.array([1.5, 0.0])])
        found = BOUNDS[name](model)(np.zeros([1, 1]), np.array([0]), Ball(eta=1.0))
        assert found[0, 1] <= -0.5 + SLACK  # at x = 1 the logits are 1.5 and 2
