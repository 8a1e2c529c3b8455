"""The smallest misclassified perturbation between an image and its adversarial example."""

from typing import Any

import numpy as np

from mmtf.evaluation.verdict import misclassified
from mmtf.threat import ThreatModel

HALVINGS = 8


def minimal_distance(
    classifier: Any,
    x: np.ndarray,
    z: np.ndarray,
    y: np.ndarray,
    wrong: np.ndarray,
    threat: ThreatModel,
    halvings: int = HALVINGS,
    batch_size: int | None = None,
) -> np.ndarray:
    """Bisects between x and z for the smallest t with x + t (z - x) misclassified.

    The result t ||z - x|| is an upper bound on the distance to the nearest misclassified image: the
    image x + t (z - x) was evaluated and is misclassified. Where z lies in the ball and the box, so
    does this image, because both are convex.

    Args:
      classifier: a Classifier, a Keras model, or a function (images, training=False) -> logits.
      x, z: original and adversarial images, float32 [N, H, W, C].
      y: labels, int [N].
      wrong: bool [N], whether the classifier misclassifies z.
      threat: its norm measures distances.
      halvings: number of bisection steps; the result exceeds the distance to the decision boundary
        found between x and z by at most ||z - x|| / 2^halvings.
      batch_size: see `misclassified`.

    Returns:
      float64 [N]: NaN where z is classified correctly, else 0 where x is misclassified.

    Example:
      >>> import tensorflow as tf
      >>> x, z, y = np.zeros([1, 1, 1, 1], "f"), np.ones([1, 1, 1, 1], "f"), np.zeros(1, "i")
      >>> classifier = lambda x, training: tf.stack([0.3 - x[:, 0, 0, 0], x[:, 0, 0, 0]], 1)
      >>> minimal_distance(classifier, x, z, y, np.array([True]), ThreatModel(eta=1.0)).round(2)
      array([0.15])
    """
    distance = np.full(len(x), np.nan)
    rows = np.flatnonzero(wrong)
    if not len(rows):
        return distance
    x, z, y = x[rows], z[rows], y[rows]
    step = (z - x).astype(np.float32)
    low, high = np.zeros(len(rows)), np.ones(len(rows))
    high[misclassified(classifier, x, y, batch_size)] = 0.0
    for _ in range(halvings):
        middle = (low + high) / 2.0
        scale = middle.astype(np.float32)[:, None, None, None]
        broke = misclassified(classifier, x + scale * step, y, batch_size)
        high = np.where(broke, middle, high)
        low = np.where(broke, low, middle)
    distance[rows] = high * threat.size(z - x)
    return distance
