"""The smoothed classifier as any other, and the games that train for it."""

import functools

import keras
import numpy as np
import pytest
import scipy.special
import tensorflow as tf

from mmtf.attacks import PGD
from mmtf.classifiers.classifier import Classifier, as_classifier
from mmtf.classifiers.smoothed import Smoothed
from mmtf.errors import ConfigError
from mmtf.games import GAMES, Batch, Players, StepContext
from mmtf.threat import ThreatModel
from mmtf.training.dropout import seeded_dropout

L2 = ThreatModel(eta=0.5, norm="l2")


def net():
    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [
            keras.Input((4, 4, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(8, "tanh"),
            keras.layers.Dense(3),
        ]
    )


def images(count=6):
    random = np.random.default_rng(0)
    x = random.uniform(-0.4, 0.4, [count, 4, 4, 1]).astype(np.float32)
    return tf.constant(x), tf.constant(random.integers(0, 3, count), tf.int32)


def test_its_probabilities_are_the_mean_over_its_draws():
    smoothed, (x, _) = Smoothed(net(), sigma=0.6, samples=5, seed=2), images()
    draws = smoothed.draws()
    assert [weight for weight, _ in draws] == [0.2] * 5
    each = [scipy.special.softmax(one(x).numpy(), -1) for _, one in draws]
    assert np.std(each, 0).max() > 0.01
    # float32 rounding of probabilities of order 1.
    np.testing.assert_allclose(np.exp(smoothed(x)), np.mean(each, 0), atol=1e-6)
    np.testing.assert_allclose(smoothed(x[2:3])[0], smoothed(x)[2], atol=1e-6)


def test_a_deterministic_classifier_is_its_only_draw():
    classifier = as_classifier(net())
    assert classifier.draws() == [(1.0, classifier)]


def test_an_attack_raises_the_mean_loss_within_the_ball():
    smoothed, (x, y) = Smoothed(net(), sigma=0.3, samples=8), images()
    y = tf.argmax(smoothed(x), -1, tf.int32)
    z = PGD(L2, steps=10, stop_early=False)(smoothed, x, y)
    assert not L2.violations(z, x).any()
    before, after = (tf.gather(smoothed(one), y, batch_dims=1).numpy() for one in (x, z))
    assert (after < before).all()


def test_its_identity():
    base = Classifier(net(), bounds=(0, 1))
    one, same, other = (Smoothed(base, sigma=s, samples=2) for s in (0.5, 0.5, 0.6))
    assert one.fingerprint == same.fingerprint != other.fingerprint != base.fingerprint
    assert one.num_classes == 3 and one.at("float32") is one
    assert one.at("bfloat16").at("float32") is one
    assert isinstance(one.at("bfloat16"), Smoothed)
    # Noise is added on the scale of the box, before the bounds.
    x, _ = images()
    moved = [draw(x) for _, draw in one.draws()]
    expected = base(x + 0.5 * tf.random.stateless_normal([4, 4, 1], [0, 1]))
    np.testing.assert_allclose(moved[1], expected, atol=1e-6)
    with pytest.raises(ConfigError, match="save_smoothed exports"):
        one.as_keras()
    with pytest.raises(ConfigError, match="sigma > 0"):
        Smoothed(base, sigma=0)


class Linear(keras.Model):
    """Two logits [0, w.x], w = (1, ..., 1)."""

    def call(self, x, training=False):
        z = tf.reduce_sum(x, [1, 2, 3])
        return tf.stack([tf.zeros_like(z), z], 1)


def context_of(size, **options):
    return StepContext(
        round=tf.constant(0),
        seed=tf.constant([0, 1]),
        global_batch_size=size,
        replicas=1,
        dropout=functools.partial(seeded_dropout, seed=tf.constant([0, 1])),
        **options,
    )


def players_of(model):
    optimizer = keras.optimizers.Adam(0.01)
    return Players({"classifier": model}, {"classifier": optimizer})


def test_the_risk_is_the_mean_over_draws_with_the_weights_of_examples():
    model, (x, y) = net(), images()
    game = GAMES["smooth_gaussian"](L2, sigma=0.5, draws=3)
    weights = tf.constant([1.0, 2.0, 0.0, 1.0, 3.0, 1.0])
    context = context_of(6, weights=weights)
    batch = Batch(x, y)
    assert game.perturb(players_of(model), batch, context) is batch
    risk, _ = game.objective(players_of(model), batch, batch, context)
    losses = []
    for noise in game.noise(x, context):
        logs = scipy.special.log_softmax(model(x + noise).numpy(), -1)
        losses.append(-logs[np.arange(6), y.numpy()])
    expected = (np.mean(losses, 0) * weights.numpy()).sum() / 6
    assert float(risk) == pytest.approx(expected, rel=1e-5)  # float32 sums of 18 losses
    stacked = tf.stack(game.noise(x, context)).numpy()
    assert abs(stacked.std() - 0.5) < 4 * 0.5 / np.sqrt(2 * stacked.size)
    assert np.abs(stacked[0] - stacked[1]).max() > 0.1


@pytest.mark.parametrize(("context", "share"), [({}, 1.0), ({"strength": tf.constant(0.5)}, 0.5)])
def test_smooth_adv_finds_a_linear_models_worst_case(context, share):
    """For a linear model it is x - eta y w / ||w||, whatever the noise."""
    game = GAMES["smooth_adv"](L2, sigma=0.5, draws=2, max_steps=2)
    x, _ = images()
    y = tf.constant([0, 1, 0, 1, 1, 0])
    context = context_of(6, **context)
    players = players_of(Linear())
    z, labels = game.perturb(players.shrunk(x, context), Batch(x, y), context)
    z = context.shrink(z, x)
    sign = np.where(y.numpy() == 0, 1.0, -1.0)[:, None, None, None]
    # ||w|| = 4 for 16 pixels; float32 rounding of steps of order 1.
    np.testing.assert_allclose(z, x + share * 0.5 * sign / 4, atol=1e-5)
    np.testing.assert_array_equal(labels, y)


@pytest.mark.parametrize("option", [{"sigma": 0}, {"draws": 0}, {"max_steps": 0}])
def test_options_of_the_games(option):
    with pytest.raises(ConfigError, match=next(iter(option))):
        GAMES["smooth_adv"](L2, **option)
