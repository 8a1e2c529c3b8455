"""Small nets, batches and players on which the defenses' losses are known in closed form."""

import functools

import keras
import numpy as np
import tensorflow as tf

from mmtf.classifiers.classifier import Classifier
from mmtf.data import Dataset
from mmtf.games.players import Batch, Players, StepContext
from mmtf.threat import ThreatModel
from mmtf.training.dropout import seeded_dropout

THREAT = ThreatModel(eta=0.2)
RATE = 0.1


class Repeatable(ThreatModel):
    """Starts that depend on the image alone, the same on every replica and in every order."""

    def random_start(self, x, seed):
        return self.project(x + self.radii * tf.sin(40.0 * x), x)


REPEATABLE = Repeatable(eta=0.2)


class Nearby(ThreatModel):
    """Starts close to the image."""

    def random_start(self, x, seed):
        return self.project(x + 1e-3 * tf.sin(40.0 * x), x)


def in_l1(kind=ThreatModel):
    """(threat model of the l1 ball, images, net): a linear net on 12 by 12 pixels in [-0.7, 0.7].

    No pixel can move by more than 1.7, so that steps of one pixel use little of the radius 10.
    """
    random = np.random.default_rng(0)
    x = tf.constant(random.uniform(-0.7, 0.7, [6, 12, 12, 1]), tf.float32)
    kernel = keras.initializers.RandomNormal(stddev=0.1, seed=1)
    layers = [keras.Input((12, 12, 1)), keras.layers.Flatten()]
    net = keras.Sequential([*layers, keras.layers.Dense(3, kernel_initializer=kernel)])
    return kind(eta=10.0, norm="l1"), Batch(x, tf.constant([0, 1, 2, 0, 1, 2])), net


def batch(size=6, classes=3, seed=0):
    random = np.random.default_rng(seed)
    x = random.uniform(-0.7, 0.7, [size, 2, 2, 1]).astype(np.float32)
    return Batch(tf.constant(x), tf.constant(random.integers(0, classes, size), tf.int32))


def dataset():
    """24 images of 2x2 pixels for `mmtf.train`."""
    (x, y), (test_x, test_y) = batch(24), batch(6, seed=1)
    return Dataset(
        name="peers",
        train_images=x.numpy(),
        train_labels=y.numpy(),
        test_images=test_x.numpy(),
        test_labels=test_y.numpy(),
        num_classes=3,
    )


def linear_net(classes=3, scale=1.0):
    weights = keras.initializers.RandomNormal(stddev=scale, seed=1)
    layers = [keras.Input((2, 2, 1)), keras.layers.Flatten()]
    return keras.Sequential([*layers, keras.layers.Dense(classes, kernel_initializer=weights)])


def deep_net(normalize=False, dropout=0.0):
    layers = [keras.Input((2, 2, 1)), keras.layers.Flatten()]
    layers += [keras.layers.Dense(8, "tanh", kernel_initializer=keras.initializers.HeNormal(1))]
    layers += [keras.layers.BatchNormalization()] if normalize else []
    layers += [keras.layers.Dropout(dropout)] if dropout else []
    layers += [keras.layers.Dense(3, kernel_initializer=keras.initializers.HeNormal(2))]
    return keras.Sequential(layers)


class Quadratic(keras.layers.Layer):
    """Logits [0, log(e^q - 1)], for which the cross-entropy of class 0 is q(x) = x'Ax / 2 + 1."""

    def __init__(self, matrix):
        super().__init__()
        self.matrix = matrix
        self.scale = self.add_weight(shape=(), initializer="ones", name="scale")

    def call(self, x):
        flat = tf.reshape(x, [-1, self.matrix.shape[0]])
        q = self.scale * tf.reduce_sum(flat * (flat @ self.matrix), -1) / 2.0 + 1.0
        return tf.stack([tf.zeros_like(q), tf.math.log(tf.math.expm1(q))], -1)


def quadratic(size=5):
    """(players of the quadratic loss, its matrix A, a batch of class 0)."""
    random = np.random.default_rng(3)
    root = random.normal(size=(4, 4))
    matrix = (root @ root.T / 4).astype(np.float32)
    net = keras.Sequential([keras.Input((2, 2, 1)), Quadratic(matrix)])
    x = random.uniform(-0.5, 0.5, [size, 2, 2, 1]).astype(np.float32)
    examples = Batch(tf.constant(x), tf.zeros([size], tf.int32))
    return Players({"classifier": net}, {}, Classifier(net)), matrix, examples


def players_of(game, net, classes=3, shape=(2, 2, 1)):
    """Players whose optimizer is plain gradient descent with the rate RATE."""

    def make_optimizer(variables=None, scale=1.0, updates=1, player="classifier"):
        optimizer = keras.optimizers.SGD(RATE)
        optimizer.build(variables)
        return optimizer

    return game.make_players(net, make_optimizer, shape, classes, 0)


def context_of(size, number=0, weights=None, seed=(0, 1)):
    seed = tf.convert_to_tensor(seed)
    return StepContext(
        round=tf.constant(number),
        seed=seed,
        global_batch_size=size,
        replicas=1,
        dropout=functools.partial(seeded_dropout, seed=seed),
        weights=weights,
    )


def weights_after(game, net, examples, steps=1, **context):
    """The weights after some steps on the same batch."""
    players = players_of(game, net)
    for _ in range(steps):
        game.step(players, examples, context_of(len(examples.y), **context))
    return net.get_weights()


def softmax(logits):
    shifted = np.exp(logits - logits.max(-1, keepdims=True))
    return shifted / shifted.sum(-1, keepdims=True)


def flat(x):
    return np.asarray(x, np.float64).reshape(len(x), -1)
