"""Linear classifiers and Gaussian classes, of which the additive game is known in closed form."""

import numpy as np
import tensorflow as tf

from mmtf.classifiers.classifier import Classifier


def linear(weights, bias: float = 0.0) -> Classifier:
    """g(x) = <weights, x> + bias on images [N, H, W, C] of as many pixels."""
    w = tf.constant(np.asarray(weights, np.float32).reshape(-1, 1))

    def logits(x, training=False):
        g = tf.reshape(x, [-1, w.shape[0]]) @ w + bias
        return tf.concat([tf.zeros_like(g), g], 1)

    return Classifier(logits, name="linear")


def images(vectors) -> np.ndarray:
    """Vectors [n, d] as images float32 [n, 1, d, 1]."""
    vectors = np.asarray(vectors, np.float32)
    return vectors.reshape(len(vectors), 1, -1, 1)


def gaussian_classes(n, low, high, sigma=1.0, d=2, seed=0):
    """n / 2 points each of N(low e_1, sigma^2 I) (label 0) and N(high e_1, sigma^2 I) (label 1)."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    points = sigma * rng.normal(size=(n, d))
    points[:, 0] += np.where(y == 1, high, low)
    return images(points), y
