"""Softmax and sigmoid ends are taken off exactly, with the model's own weights, or left alone."""

import threading

import keras
import numpy as np
import pytest
import tensorflow as tf

import mmtf
from mmtf import losses
from mmtf.classifiers.admission import logits_on
from mmtf.classifiers.classifier import Classifier, as_classifier
from mmtf.classifiers.unwrapping import squashing_end, taken_off
from mmtf.errors import ConfigError

SHAPE = (4, 4, 1)
L = keras.layers
# softmax and its logits in float32, of 3 classes: a few roundings of 2^-24 each.
ATOL = 1e-6


class Gate(L.Dense):
    """A Dense layer with something behind its activation."""

    def call(self, inputs, training=None):
        return 0.5 * super().call(inputs, training=training)


def functional(*last):
    inputs = keras.Input(SHAPE)
    hidden = L.Flatten()(inputs)
    for layer in last:
        hidden = layer(hidden)
    return keras.Model(inputs, hidden)


def nested(*last):
    return keras.Sequential([keras.Input(SHAPE), L.Rescaling(0.5), functional(*last)])


def two_headed():
    inputs = keras.Input(SHAPE)
    flat = L.Flatten()(inputs)
    heads = {"age": L.Dense(1)(flat), "kind": L.Dense(3, "softmax")(flat)}
    return keras.Model(inputs, heads)


EXACT = {
    "Dense": lambda: functional(L.Dense(3, "softmax")),
    "Softmax": lambda: functional(L.Dense(3), L.Softmax()),
    "Activation": lambda: functional(L.Dense(3), L.Activation("softmax")),
    "keras.ops": lambda: functional(L.Dense(3), keras.ops.softmax),
    "tf.nn.softmax": lambda: functional(L.Dense(3, activation=tf.nn.softmax)),
    "behind it a type": lambda: functional(L.Dense(3, "softmax"), L.Activation("linear")),
    "Sequential": lambda: keras.Sequential(
        [keras.Input(SHAPE), L.Flatten(), L.Dense(3), L.Softmax()]
    ),
    "not yet built": lambda: keras.Sequential([L.Flatten(), L.Dense(3, "softmax")]),
    "nested": lambda: nested(L.Dense(3, "softmax")),
    "twice nested": lambda: keras.Sequential([keras.Input(SHAPE), nested(L.Dense(3, "softmax"))]),
    "probabilities used elsewhere": lambda: two_headed(),
}


@pytest.fixture
def images(rng):
    return rng.uniform(-1, 1, (20, *SHAPE)).astype(np.float32)


@pytest.mark.parametrize("kind", EXACT)
def test_the_softmax_of_the_logits_is_what_the_model_gives(kind, images):
    model = EXACT[kind]()
    classifier = Classifier(model, output="kind" if kind.startswith("prob") else None)
    logits = classifier(images)
    given = model(images, training=False)
    given = given["kind"] if isinstance(given, dict) else given
    np.testing.assert_allclose(given.numpy().sum(-1), 1, atol=ATOL)  # as it was
    np.testing.assert_allclose(tf.nn.softmax(logits), given, rtol=0, atol=ATOL)
    assert np.abs(logits.numpy().sum(-1) - 1).max() > 0.1
    assert "ends in a softmax" in classifier.note and "\n" not in classifier.note
    logits_on(classifier, images, 3)


@pytest.mark.parametrize("end", [(L.Dense, {"activation": "sigmoid"}), (L.Dense, {})])
def test_one_logit_is_two(end, images):
    model = functional(end[0](1, **end[1]))
    classifier = as_classifier(model)
    logits = classifier(images).numpy()
    assert logits.shape == (20, 2) and classifier.num_classes == 2 and not logits[:, 0].any()
    z = model(images).numpy()[:, 0]
    positive = z if end[1] else 1 / (1 + np.exp(-z))
    np.testing.assert_allclose(tf.nn.softmax(logits)[:, 1], positive, rtol=0, atol=ATOL)
    assert "the two logits are [0, z]" in classifier.note
    # The cross-entropy of the two is the binary one of the model's own output.
    labels = np.arange(20) % 2
    own = keras.losses.binary_crossentropy(labels[:, None], positive[:, None])
    ours = losses.cross_entropy(tf.constant(logits), labels)
    # Keras clips probabilities at 1e-7; these are far from 0 and 1.
    np.testing.assert_allclose(ours, own, rtol=0, atol=1e-5)


NOT_EXACT = {
    "Lambda": lambda: functional(L.Dense(3), L.Lambda(tf.nn.softmax)),
    "over another axis": lambda: functional(L.Dense(3), L.Reshape((3, 1)), L.Softmax(axis=0)),
    "a layer called twice": lambda: (lambda soft: functional(soft, soft))(L.Dense(16, "softmax")),
    "its own call": lambda: functional(Gate(3, "softmax")),
    "sigmoids of several": lambda: functional(L.Dense(3, "sigmoid")),
    "the softmax of one": lambda: functional(L.Dense(1, "softmax")),
    "a function of that name": lambda: functional(L.Dense(3, activation=_softmax)),
    "inside a gate": lambda: functional(L.Dense(3, "softmax"), L.Dense(3)),
}


def _softmax(x):
    return keras.ops.softmax(2.0 * x) ** 2


@pytest.mark.parametrize("kind", NOT_EXACT)
def test_what_is_not_exact_is_left_alone(kind):
    assert squashing_end(NOT_EXACT[kind]()) is None


@pytest.mark.parametrize("kind", ["Lambda", "sigmoids of several", "the softmax of one"])
def test_and_refused_in_one_line(kind, images):
    with pytest.raises(ConfigError, match="Remove the (softmax|sigmoid)") as refused:
        logits_on(NOT_EXACT[kind](), images)
    assert "\n" not in str(refused.value)


def test_a_softmax_behind_a_softmax_is_told(images):
    with pytest.raises(ConfigError, match="rows that are positive and sum to 1"):
        logits_on(functional(L.Dense(3, "softmax"), L.Softmax()), images, 3)


def test_contexts_that_overlap_as_those_of_replicas_do(images):
    """Thread 0 leaves while thread 1 is inside; a nested context leaves before its outer one."""
    model = EXACT["Dense"]()
    end = squashing_end(model)
    entered, left = threading.Event(), threading.Event()
    seen = {}

    def second():
        with taken_off(end):
            entered.set()
            left.wait(10)
            seen["inside"] = model(images).numpy()

    thread = threading.Thread(target=second)
    with taken_off(end):
        thread.start()
        assert entered.wait(10)
        with taken_off(end):
            pass
        seen["after the inner one"] = model(images).numpy()
    left.set()
    thread.join()
    for logits in seen.values():
        assert np.abs(logits.sum(-1) - 1).max() > 0.1
    np.testing.assert_allclose(model(images).numpy().sum(-1), 1, atol=ATOL)


def test_training_it_is_training_its_logits(capfd):
    """The same steps as those of the model without its softmax, in the user's own weights."""
    data, schedule = mmtf.load_data("digits"), mmtf.Schedule(steps=3, batch_size=16)
    inputs = keras.Input(data.image_shape)
    hidden = L.Flatten()(L.AveragePooling2D(4)(inputs))
    soft = keras.Model(inputs, L.Dense(10, "softmax")(hidden), name="mine")
    plain = keras.Model(inputs, L.Dense(10)(hidden))
    plain.set_weights(soft.get_weights())
    before = soft.get_weights()
    for model in (soft, plain):
        game = mmtf.games.MinimaxGrad(mmtf.ThreatModel(eta=0.3))
        trained = mmtf.train(game, data, schedule=schedule, model=model, progress=False)
        assert trained.classifier is model
    for ours, theirs, start in zip(soft.get_weights(), plain.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)
        assert (ours != start).any()
    found = [
        mmtf.evaluate(
            model,
            ["none", "fgsm"],
            data,
            threat=mmtf.ThreatModel(eta=0.3),
            max_examples=50,
            checks=False,
        ).error.tolist()
        for model in (soft, plain)
    ]
    assert found[0] == found[1]
    assert capfd.readouterr().err.count("mine: the model ends in a softmax") == 1  # once for both
