"""Transfer: the images of another classifier, whoever the victim is."""

import gc
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmtf.attacks import ATTACKS, Transfer
from mmtf.classifiers.classifier import as_classifier
from mmtf.evaluation.runner import measure, misclassified
from mmtf.threat import ThreatModel

LINF, L2 = ThreatModel(eta=0.2), ThreatModel(eta=0.7, norm="l2")
SHAPE = (4, 4, 1)
CASES = pytest.mark.parametrize(
    "name, threat, options",
    [
        ("fgsm", LINF, {}),
        ("fgm", L2, {}),
        ("pgd", LINF, {"steps": 5, "restarts": 2}),
        ("pgd", L2, {"steps": 5, "stop_early": False}),
        ("square", LINF, {"steps": 10}),
    ],
)


@pytest.fixture
def batch(rng, smooth):
    x = rng.uniform(-1, 1, (30, *SHAPE)).astype(np.float32)
    y = smooth(x, training=False).numpy().argmax(1)
    return tf.constant(x), tf.constant(y, tf.int32)


def never(x, training):
    raise AssertionError("the victim of a transfer was asked")


@CASES
def test_the_images_are_the_sources(name, threat, options, smooth, batch, excess):
    inner = ATTACKS[name](threat, **options)
    attack = Transfer(smooth, inner)
    assert attack.threat is threat and attack.deterministic == inner.deterministic
    z = attack(never, *batch, seed=(1, 2))
    # A graph of its own may round an l2 step in another order.
    np.testing.assert_allclose(z, inner(smooth, *batch, seed=(1, 2)), rtol=0, atol=1e-6)
    np.testing.assert_array_equal(attack(never, *batch, seed=(1, 2)), z)
    assert excess(z, batch[0], threat).max() < 5e-7
    if options.get("restarts", 1) == 1:
        graph = tf.function(lambda x, y: attack(never, x, y, seed=(1, 2)))(*batch)
        np.testing.assert_allclose(graph, z, rtol=0, atol=1e-5)


def test_the_closed_form_on_two_linear_models(linear, rng):
    """z = x - eta sign(w of the source) for class 1; the victim's logit moves by eta <w, sign>."""
    source, victim = (linear(np.stack([0 * w, w], 1)) for w in rng.normal(0, 1, (2, 16)))
    x, y = rng.uniform(-0.5, 0.5, (20, *SHAPE)).astype(np.float32), np.ones(20, np.int32)
    attack = Transfer(source, ATTACKS["fgsm"](LINF))
    expected = x - 0.2 * np.sign(source.weights[:, 1]).reshape(SHAPE)
    z = attack(victim, tf.constant(x), tf.constant(y))
    np.testing.assert_allclose(z, expected, rtol=0, atol=1e-6)
    moved = 0.2 * victim.weights[:, 1] @ np.sign(source.weights[:, 1])
    wrong = victim.logits64(x)[:, 1] - moved < 0
    outcome = measure(victim, attack, x, y, name="fgsm@source")
    np.testing.assert_array_equal(outcome.wrong, wrong)
    assert 0 < wrong.mean() < 1


def test_one_trace_serves_all_victims(linear, batch):
    inner, source = ATTACKS["fgsm"](LINF), linear(np.eye(16)[:, :3])
    attack = Transfer(source, inner)
    for victim in (linear(np.eye(16)[:, :3]), linear(np.ones((16, 3)))):
        measure(victim, attack, *batch, name="a")
    assert as_classifier(source).compiled(inner.key(), None).experimental_get_tracing_count() == 1


def test_a_keras_source_computes_in_float32(batch):
    source = keras.Sequential([keras.Input(SHAPE), keras.layers.Flatten(), keras.layers.Dense(3)])
    inner = ATTACKS["gradient_step"](LINF)
    expected = inner(source, *batch).numpy()
    for layer in source.layers:
        layer.dtype_policy = "mixed_bfloat16"
    z = Transfer(source, inner)(never, *batch)
    np.testing.assert_allclose(z, expected, rtol=0, atol=1e-6)  # bfloat16 would be 1e-3 off
    assert source.layers[-1].dtype_policy.name == "mixed_bfloat16"


def test_repr_names_both(smooth):
    text = repr(Transfer(smooth, ATTACKS["fgsm"](LINF)))
    assert text.startswith("Transfer(source=") and "attack=FGSM(threat=ThreatModel(eta=0.2" in text


@pytest.mark.usefixtures("little_garbage")
def test_a_victim_can_be_forgotten(smooth, linear, batch):
    victim = linear(np.eye(16)[:, :3])
    misclassified(victim, Transfer(smooth, ATTACKS["fgsm"](LINF))(victim, *batch), batch[1])
    gone = weakref.ref(victim)
    del victim
    gc.collect()
    assert gone() is None
