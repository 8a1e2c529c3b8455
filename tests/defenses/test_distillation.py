"""Defensive distillation: the two rounds, the temperature, and what is deployed."""

import keras
import numpy as np
import peer_setting
import pytest
import tensorflow as tf
from peer_setting import THREAT

import mmtf
from mmtf import games, losses
from mmtf.games.players import Batch


def risk(game, players, examples, number):
    context = peer_setting.context_of(len(examples.y), number)
    return float(game.objective(players, examples, examples, context)[0])


def test_the_teacher_learns_labels_at_the_temperature():
    game, net = games.Distillation(THREAT, temperature=7.0), peer_setting.deep_net()
    examples, players = peer_setting.batch(), peer_setting.players_of(game, net)
    p = peer_setting.softmax(net(examples.x).numpy().astype(np.float64) / 7.0)
    expected = -np.log(p[np.arange(6), examples.y]).mean()
    assert risk(game, players, examples, 0) == pytest.approx(expected, rel=1e-5)


def test_the_student_starts_anew_and_learns_the_teachers_probabilities():
    game, net = games.Distillation(THREAT, temperature=7.0), peer_setting.deep_net()
    examples, players = peer_setting.batch(), peer_setting.players_of(game, net)
    initial = net.get_weights()
    for _ in range(3):
        game.step(players, examples, peer_setting.context_of(6))
    teacher = net(examples.x).numpy().astype(np.float64)
    game.begin_round(players, 1)
    for a, b in zip(initial, net.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert int(players.updaters["classifier"].iterations) == 0
    q, p = (peer_setting.softmax(one / 7.0) for one in (teacher, net(examples.x).numpy()))
    expected = -(q * np.log(p)).sum(-1).mean()
    assert risk(game, players, examples, 1) == pytest.approx(expected, rel=1e-5)


def test_at_temperature_one_a_sure_teacher_gives_its_own_labels():
    game, net = games.Distillation(THREAT, temperature=1.0), peer_setting.deep_net()
    (x, y), players = peer_setting.batch(), peer_setting.players_of(game, net)
    initial = net.get_weights()
    net.set_weights([*initial[:-2], 1e4 * initial[-2], initial[-1]])  # logits about 1e4
    predicted = tf.argmax(net(x), -1, tf.int32)
    game.begin_round(players, 1)
    expected = tf.reduce_mean(losses.cross_entropy(net(x), predicted))
    assert risk(game, players, Batch(x, y), 1) == pytest.approx(float(expected), rel=1e-5)
    assert (predicted.numpy() != y.numpy()).any()  # else the labels themselves would pass


def test_a_run_in_two_rounds_is_deployed_at_temperature_one():
    data = mmtf.load_data("digits")
    trained = mmtf.train(
        games.Distillation(THREAT, temperature=20.0),
        data,
        schedule=mmtf.Schedule(steps=30, batch_size=64, learning_rate=0.3),
        model=linear_digits(),
        precision="float32",
        progress=False,
    )
    assert trained.steps == 60
    x, y = data.test(200)
    logits = trained.classifier(x)
    assert float(tf.reduce_mean(losses.errors(logits, y))) < 0.3
    # Fitted at temperature 20, the logits are many times those of a net fitted at 1.
    assert float(tf.reduce_mean(tf.reduce_max(logits, -1) - tf.reduce_mean(logits, -1))) > 20


def linear_digits():
    pool = keras.layers.AveragePooling2D(4)
    dense = keras.layers.Dense(10, kernel_initializer=keras.initializers.GlorotUniform(1))
    return keras.Sequential([keras.Input((28, 28, 1)), pool, keras.layers.Flatten(), dense])
