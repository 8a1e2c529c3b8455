"""Graphs compute what the models compute, and name what they do not support."""

import keras
import numpy as np
import pytest

from mmtf.bounds import BOUNDS
from mmtf.bounds.balls import Ball
from mmtf.bounds.graph import Graph
from mmtf.classifiers.classifier import Classifier
from mmtf.classifiers.smoothed import Smoothed
from mmtf.errors import ConfigError

L = keras.layers


def nested():
    """A residual block as a nested model, used twice, inside a Sequential with a Sequential."""
    inputs = keras.Input((4, 4, 2))
    z = L.Conv2D(2, 3, padding="same", activation="relu")(inputs)
    block = keras.Model(inputs, L.ReLU()(inputs + L.Dropout(0.5)(z)))
    head = keras.Sequential([L.Flatten(), L.Dense(3)])
    return keras.Sequential([keras.Input((4, 4, 2)), block, block, head])


def test_nested_and_residual_models(rng):
    model = nested()
    x = np.float32(rng.uniform(-1, 1, (5, 4, 4, 2)))
    graph = Graph(model)
    # Float32 logits of a small net: some dozen roundings of 6e-8.
    np.testing.assert_allclose(graph.forward(x), model(x), atol=1e-5)
    kinds = [type(node.operation).__name__ for node in graph.nodes[1:]]
    assert kinds == ["Affine", "LeakyReLU", "Affine", "LeakyReLU"] * 2 + ["Affine", "Affine"]
    assert [graph.nodes[i].inputs for i in (3, 7)] == [(0, 2), (4, 6)]
    assert graph.num_classes == 3 and graph.activations() == [2, 4, 6, 8]
    assert graph.mixed()[:3] == [0, 1, None] and graph.ancestors(2) == {0, 1, 2}


@pytest.mark.parametrize("merge", [L.Add, L.Average, L.Subtract])
@pytest.mark.parametrize("count", [2, 3])
def test_inputs_of_another_rank_are_merged_as_keras_does(merge, count, rng):
    inputs = keras.Input((2, 3))
    shift = L.Dense(3)(L.Flatten()(inputs))
    model = keras.Model(inputs, L.Dense(4)(L.Flatten()(L.ReLU()(merge()([inputs, shift])))))
    x = np.float32(rng.uniform(-1, 1, (count, 2, 3)))
    graph = Graph(model)
    np.testing.assert_allclose(graph.forward(x), model(x), atol=1e-5)
    y, eta = np.zeros(count, int), 0.2
    near = np.clip(x + np.float32(rng.uniform(-eta, eta, (200, *x.shape))), -1, 1)
    logits = np.stack([model(one) for one in near])
    margins = (logits[..., :1] - logits)[..., 1:].min(0)
    for name in ("ibp", "crown"):
        assert (BOUNDS[name](graph)(x, y, Ball(eta=eta))[:, 1:] <= margins + 1e-5).all()


def test_the_pixel_range_of_a_classifier_counts(rng):
    classifier = Classifier(nested(), bounds=(0, 255))
    x = np.float32(rng.uniform(-1, 1, (2, 4, 4, 2)))
    # Values of 255 instead of 1: float32 rounding is as much larger.
    np.testing.assert_allclose(Graph(classifier).forward(x), classifier(x), atol=3e-3)


@pytest.mark.parametrize(
    "end", [[L.Dense(3, "softmax")], [L.Dense(3), L.Softmax()], [L.Dense(1, "sigmoid")]]
)
def test_the_softmax_at_the_end_is_left_out(end, rng):
    model = keras.Sequential([keras.Input((4,)), *end])
    x = np.float32(rng.uniform(-1, 1, (3, 4)))
    np.testing.assert_allclose(Graph(model).forward(x), Classifier(model)(x), atol=1e-5)


def test_one_of_several_outputs():
    inputs = keras.Input((2,))
    outputs = {"a": L.Dense(2)(inputs), "b": L.Dense(3)(inputs)}
    graph = Graph(Classifier(keras.Model(inputs, outputs), output="b"))
    assert graph.num_classes == 3 and len(graph.nodes) == 2


def test_deep_models_need_no_deep_stack():
    z = inputs = keras.Input((2,))
    for _ in range(300):
        z = L.Dropout(0.5)(z)
    assert len(Graph(keras.Model(inputs, L.Dense(2)(z))).nodes) == 2


class Subclassed(keras.Model):
    """Its layers are called in an order that only its code knows."""

    def call(self, x):
        return x


def test_unsupported_models_are_named():
    a, b = keras.Input((2,), name="a"), keras.Input((2,), name="b")
    two = keras.Model([a, b], L.Add()([a, b]), name="two")
    many = keras.Model(a, [L.Dense(2)(a), L.Dense(2)(a)], name="many")
    scaled = keras.Model(a, a * 2.0, name="scaled")
    image = keras.Sequential([keras.Input((4, 4, 1)), L.Conv2D(2, 2)])
    free = keras.Sequential([keras.Input((None, 2)), L.GlobalAveragePooling1D()])
    cases = {
        "Subclassed 'mine', a subclassed or unbuilt model": Subclassed(name="mine"),
        "Functional 'two' with 2 inputs": two,
        "Functional 'many' with 2 outputs; choose one": many,
        "Multiply 'multiply": scaled,
        "logits .N, classes.": image,
        "one known input shape": free,
        "Keras model for bounds": lambda x, training: x,
        "without a preprocessing function": Classifier(nested(), preprocessing=lambda x: x),
    }
    for message, model in cases.items():
        with pytest.raises(ConfigError, match=message) as raised:
            Graph(model)
        assert "\n" not in str(raised.value)


def test_a_classifier_that_computes_something_else_than_its_model_has_no_bounds():
    model = keras.Sequential([keras.Input((2, 2, 1)), L.Flatten(), L.Dense(3)])
    with pytest.raises(ConfigError, match="Received: a Smoothed, which computes something else"):
        Graph(Smoothed(model, sigma=0.5, samples=2))
    assert Graph(Classifier(model, bounds=(0, 1))).num_classes == 3
