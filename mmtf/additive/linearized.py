"""The linearized two-class classifier: signed distances s(x) and unit gradients w(x)."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from mmtf.classifiers.classifier import Classifier
from mmtf.errors import require, require_choice

LABELS = ("truth", "prediction")
BATCH = 500


class Linearized(NamedTuple):
    """A classifier linearized at n images, seen from their labels y in {-1, 1}.

    Attributes:
      distances: s = y g / ||grad g||, float64 [n]: the signed distance of the image to the
        linearized boundary. Where the gradient is 0 it is y g times infinity: no change of the
        image moves the linearization.
      directions: w = y grad g / ||grad g||, float32 [n, H, W, C]; 0 where the gradient is.
      scales: ||grad g||, float64 [n].
      signs: y, float64 [n].
    """

    distances: np.ndarray
    directions: np.ndarray
    scales: np.ndarray
    signs: np.ndarray

    @property
    def rows(self) -> np.ndarray:
        """w as vectors, float32 [n, H W C]."""
        return self.directions.reshape(len(self.directions), -1)

    def moved(self, v: np.ndarray) -> np.ndarray:
        """s + <w, v>, float64 [n], for vectors v [n, H, W, C] or [1, H, W, C].

        It is > 0 where the linearized classifier is right at x + v.
        """
        flat = np.asarray(v, np.float64).reshape(len(v), -1)
        return self.distances + (self.rows * flat).sum(1)

    def select(self, rows: np.ndarray | slice) -> "Linearized":
        """The same for some of the images."""
        return Linearized(*(part[rows] for part in self))


def signs_of(classifier: Classifier, x: np.ndarray, y: np.ndarray, label: str) -> np.ndarray:
    """y in {-1, 1}, float64 [n]: the true label, or the classifier's own prediction.

    Args:
      classifier: of two classes.
      x: float32 [n, H, W, C].
      y: int [n] in {0, 1}.
      label: `truth` or `prediction`.
    """
    require_choice("label", label, LABELS)
    y = np.asarray(y)
    known = y.shape == (len(x),) and bool(np.isin(y, (0, 1)).all())
    require(known, f"labels 0 or 1 of {len(x)} images", f"shape {y.shape}, {np.unique(y)[:5]}")
    if label == "prediction":
        y = difference(classifier, x) > 0
    return np.where(y, 1.0, -1.0)


def difference(classifier: Classifier, x: np.ndarray) -> np.ndarray:
    """g(x) = logit 1 - logit 0 of a classifier of two classes, float64 [n]; g > 0 is class 1."""
    logits = classifier.compiled("logits", lambda own, z: own(z, training=False))
    parts = [logits(tf.constant(x[i : i + BATCH])).numpy() for i in range(0, len(x), BATCH)]
    found = np.concatenate(parts).astype(np.float64)
    require(found.shape[1] == 2, "a classifier of 2 classes", f"{found.shape[1]} classes")
    return found[:, 1] - found[:, 0]


def linearize(classifier: Classifier, x: np.ndarray, signs: np.ndarray) -> Linearized:
    """Linearizes g = logit 1 - logit 0 at the images.

    Args:
      classifier: of two classes.
      x: float32 [n, H, W, C].
      signs: y in {-1, 1}, [n].

    Example:
      >>> import tensorflow as tf
      >>> net = lambda x, training: tf.stack([0 * x[:, 0], 3 * x[:, 0] + 4 * x[:, 1]], 1)
      >>> found = linearize(Classifier(net), np.float32([[1, 1]]), np.array([1.0]))
      >>> found.distances.round(3).tolist(), found.directions.round(3).tolist()
      ([1.4], [[0.6000000238418579, 0.800000011920929]])
    """
    values, gradients = [], []
    run = classifier.compiled("difference and gradient", _difference_and_gradient)
    for i in range(0, len(x), BATCH):
        value, gradient = run(tf.constant(x[i : i + BATCH]))
        values.append(value.numpy())
        gradients.append(gradient.numpy())
    g, gradient = np.concatenate(values).astype(np.float64), np.concatenate(gradients)
    flat = gradient.reshape(len(x), -1)
    scale = np.linalg.norm(flat.astype(np.float64), axis=1)
    require(bool(np.isfinite(scale).all() and np.isfinite(g).all()), "finite gradients", "NaN")
    zero = scale == 0
    with np.errstate(divide="ignore", invalid="ignore"):
        distances = signs * g / scale
    # 0 / 0: the constant linearization 0 is not the right class.
    distances = np.where(zero & (g == 0), -np.inf, distances)
    unit = (signs / np.where(zero, 1.0, scale))[:, None] * flat
    return Linearized(distances, unit.astype(np.float32).reshape(x.shape), scale, signs)


def _difference_and_gradient(classifier, x):
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(x)
        logits = classifier(x, training=False)
        g = logits[:, 1] - logits[:, 0]
    return g, tape.gradient(g, x, unconnected_gradients=tf.UnconnectedGradients.ZERO)
