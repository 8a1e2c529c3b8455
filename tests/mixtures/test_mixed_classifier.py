"""`Mixture`: its expectation, its draws and its export."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import logsumexp

from mmtf.attacks import PGD
from mmtf.classifiers.loading import load_classifier
from mmtf.data import to_unit_box
from mmtf.errors import ConfigError
from mmtf.mixtures import Mixture, save_mixture
from mmtf.threat import ThreatModel


def net(weights, bias=(0.0, 0.0, 0.0)):
    layers = [keras.Input((2, 2, 1)), keras.layers.Flatten(), keras.layers.Dense(3)]
    model = keras.Sequential(layers)
    model.set_weights([np.asarray(weights, np.float32), np.asarray(bias, np.float32)])
    return model


@pytest.fixture
def nets(rng):
    return {name: net(rng.normal(size=(4, 3))) for name in ("first", "second", "third")}


def always(label):
    """A net that answers with one class."""
    return net(np.zeros((4, 3)), 30.0 * np.eye(3)[label])


def test_its_logits_are_the_logarithm_of_the_mean_probabilities(nets, rng):
    x, p = rng.uniform(-1, 1, (5, 2, 2, 1)).astype(np.float32), [0.2, 0.0, 0.8]
    mixture = Mixture(nets, p)
    logits = np.array([x.reshape(5, 4) @ one.get_weights()[0] for one in nets.values()], np.float64)
    logs = logits - logsumexp(logits, -1, keepdims=True)
    expected = logsumexp(logs, 0, b=np.array(p)[:, None, None])
    # Sums of four float32 products of size 1, and logarithms of about -1.
    np.testing.assert_allclose(mixture(x), expected, atol=1e-5)
    np.testing.assert_allclose(mixture.at(None)(x), expected, atol=1e-5)
    assert [weight for weight, _ in mixture.draws()] == [0.2, 0.8]
    assert mixture.num_classes == 3 and mixture.at("float32") is mixture


def test_one_net_is_drawn_for_each_image(nets, rng):
    x = rng.uniform(-1, 1, (4000, 2, 2, 1)).astype(np.float32)
    mixture = Mixture(nets, [0.25, 0.0, 0.75], seed=3)
    logits, number = mixture.drawn(x)
    number = number.numpy()
    assert set(number) == {0, 2}
    # Four standard deviations of the share of 4,000 draws.
    assert abs((number == 0).mean() - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 4000)
    each = [np.asarray(one(x)) for one in nets.values()]
    np.testing.assert_allclose(logits, np.choose(number[:, None], each), atol=1e-5)
    np.testing.assert_array_equal(mixture.drawn(x)[1], number)
    assert (mixture.drawn(x, [4, 0])[1].numpy() != number).any()


def test_the_keras_model_draws_afresh_in_each_call(nets):
    x = np.zeros((200, 2, 2, 1), np.float32)
    nets = {"zero": always(0), "one": always(1)}
    first, same = (Mixture(nets, [0.5, 0.5], seed=7).as_keras() for _ in range(2))
    a, b = (np.argmax(first(x), -1) for _ in range(2))
    assert set(a) == {0, 1} and (a != b).any()
    np.testing.assert_array_equal(np.argmax(same(x), -1), a)
    assert len(first.weights) == 4
    with pytest.raises(ConfigError, match="nets that are Keras models"):
        Mixture([lambda x, training: x], [1.0]).as_keras()


def test_fingerprints_tell_nets_and_probabilities_apart(nets):
    one, other = Mixture(nets, [0.5, 0.5, 0]), Mixture(nets, [0.4, 0.6, 0])
    assert one.fingerprint == Mixture(nets, [0.5, 0.5, 0]).fingerprint != other.fingerprint


@pytest.mark.parametrize("p", [[0.5, 0.5], [0.5, 0.6, -0.1], [0.5, 0.2, 0.2], [np.nan, 1, 0]])
def test_probabilities_are_required(nets, p):
    with pytest.raises(ConfigError, match="3 probabilities"):
        Mixture(nets, p)


def test_attacks_are_attacks_through_the_expectation(nets, rng):
    """PGD with one step from the clean image moves along the sign of the expected gradient."""
    x, y = rng.uniform(-0.5, 0.5, (6, 2, 2, 1)).astype(np.float32), np.zeros(6, np.int32)
    p = np.array([0.3, 0.3, 0.4])
    z = PGD(ThreatModel(eta=0.1), steps=1, step_size=0.2, stop_early=False)(Mixture(nets, p), x, y)
    w = np.array([one.get_weights()[0] for one in nets.values()])  # [D, 4, C]
    start = ThreatModel(eta=0.1).random_start(tf.constant(x), tf.constant([0, 0]))
    logits = np.einsum("nk,dkc->dnc", np.asarray(start).reshape(6, 4), w)
    q = np.exp(logits - logsumexp(logits, -1, keepdims=True))
    # d q_0 / dx = q_0 (w_0 - sum_c q_c w_c)
    slope = q[..., :1] * (w[:, None, :, 0] - np.einsum("dnc,dkc->dnk", q, w))
    step = np.asarray(start).reshape(6, 4) - 0.2 * np.sign(np.einsum("d,dnk->nk", p, slope))
    inside = np.clip(step, x.reshape(6, 4) - 0.1, x.reshape(6, 4) + 0.1)
    np.testing.assert_allclose(np.reshape(z, (6, 4)), inside, atol=1e-6)


def test_the_saved_model_draws_and_knows_its_expectation(tmp_path):
    mixture = Mixture({"zero": always(0), "one": always(1), "never": always(2)}, [0.25, 0.75, 0])
    path = str(tmp_path / "mixture")
    keras.utils.set_random_seed(0)  # must not make the draws of the export repeat
    save_mixture(mixture, to_unit_box, (2, 2, 1), path)
    save_mixture(mixture, to_unit_box, (2, 2, 1), path)  # its own is replaced
    signatures = tf.saved_model.load(path).signatures
    images = tf.zeros([400, 2, 2, 1], tf.uint8)
    first, second = (signatures["serving_default"](images=images) for _ in range(2))
    labels = first["label"].numpy()
    assert set(labels) == {0, 1} and (labels != second["label"].numpy()).any()
    assert abs((labels == 0).mean() - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 400)
    np.testing.assert_allclose(
        first["probabilities"], np.eye(3)[labels], atol=1e-6
    )  # e^-30 for the others
    expected = signatures["expected_probabilities"](images=images)["probabilities"]
    np.testing.assert_allclose(expected, np.tile([0.25, 0.75, 0.0], (400, 1)), atol=1e-6)
    logits = load_classifier(path, trust_saved_models=True)(tf.zeros([2, 2, 2, 1]))
    np.testing.assert_allclose(np.exp(logits), [[0.25, 0.75, 0.0]] * 2, atol=1e-6)
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ConfigError, match="nothing was changed"):
        save_mixture(mixture, to_unit_box, (2, 2, 1), str(tmp_path))
