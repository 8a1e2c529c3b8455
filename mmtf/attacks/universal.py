"""One perturbation for all images (Moosavi-Dezfooli et al. 2017)."""

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow import Tensor

from mmtf.attacks.base import Attack
from mmtf.attacks.deepfool import DeepFool
from mmtf.classifiers.classifier import as_classifier
from mmtf.errors import require
from mmtf.threat import ThreatModel

BLOCK = 500


class UniversalPerturbation(Attack):
    """z = clip(x + v): the same v, of norm eta at most, for every image.

    Args:
      threat: the ball and the box.
      perturbation: v, float [H, W, C]; `universal_perturbation` finds one.
    """

    queries_model = False

    def __init__(self, threat: ThreatModel, perturbation: Any):
        super().__init__(threat)
        self.perturbation = np.asarray(perturbation, np.float32)

    def run(self, classifier: Any, x: Tensor, labels: Tensor, seed: Tensor) -> Tensor:
        return self.threat.project(x + self.perturbation, x)


@dataclasses.dataclass(frozen=True, kw_only=True)
class UniversalRecipe:
    """How a universal perturbation is found.

    Attributes:
      images: number of training images, > 0; at most all are used.
      delta: in [0, 1); the search ends once the share 1 - delta of the images is fooled.
      passes: largest number of passes over the images, > 0.
      batch_size: images whose smallest steps are found together, > 0; 1 is the paper's algorithm.
      steps, overshoot: of DeepFool, > 0 and >= 0.
    """

    images: int = 1000
    delta: float = 0.2
    passes: int = 5
    batch_size: int = 50
    steps: int = 10
    overshoot: float = 0.02

    def __post_init__(self):
        for name in ("images", "passes", "batch_size", "steps"):
            require(getattr(self, name) > 0, f"{name} > 0", getattr(self, name))
        require(0 <= self.delta < 1, "0 <= delta < 1", self.delta)
        require(self.overshoot >= 0, "overshoot >= 0", self.overshoot)

    def to_dict(self) -> dict:
        return dataclasses.asdict(self)


UNIVERSAL = UniversalRecipe()


def universal_perturbation(
    classifier: Any,
    x: np.ndarray,
    threat: ThreatModel,
    recipe: UniversalRecipe = UNIVERSAL,
    *,
    seed: int = 0,
) -> tuple[np.ndarray, float]:
    """v that changes the classifier's prediction on most of `x`, and on which share of it.

    For every image that x + v does not fool, v moves by the smallest step (DeepFool) that would
    fool it, and is projected onto the ball, pass after pass. The paper goes image by image; here
    the steps of a batch are found at the same v and their sum is added. A pass may undo an earlier
    one: the best v at the end of a pass is returned. The result is exact on one linear boundary:
    eta times the ball's steepest step across it.

    Args:
      classifier: a Classifier, a Keras model or a function; its predictions on clean images are
        to change.
      x: float32 [N, H, W, C] in the box; the first `recipe.images` are used.
      threat: the ball and the box.
      recipe: how.
      seed: seed for the order of the images in a pass.

    Source: Moosavi-Dezfooli et al. (2017), Algorithm 1.
    """
    x = np.asarray(x[: recipe.images], np.float32)
    require(len(x) > 0, "at least one image", len(x))
    low, high = threat.box
    # Room for any step inside the box: the ball is v's, not one image's.
    everywhere = dataclasses.replace(threat, eta=(high - low) * float(np.sqrt(x[0].size)))
    deepfool = DeepFool(everywhere, steps=recipe.steps, overshoot=recipe.overshoot)
    classifier = as_classifier(classifier)
    predict = classifier.compiled("predictions", _predictions)
    random, clean = np.random.default_rng(seed), _all(predict, x)
    v, best, most = np.zeros_like(x[0]), np.zeros_like(x[0]), 0.0
    for _ in range(recipe.passes):
        order = random.permutation(len(x))
        for rows in np.split(order, range(recipe.batch_size, len(x), recipe.batch_size)):
            z, labels = threat.clip_box(x[rows] + v), tf.constant(clean[rows])
            after = deepfool(classifier, z, labels)
            crossed = predict(after) != labels
            step = tf.where(crossed[:, None, None, None], after - z, 0.0)
            v = _into_ball(threat, v + tf.reduce_sum(step, 0).numpy())
        fooled = float(np.mean(_all(predict, threat.clip_box(x + v).numpy()) != clean))
        if fooled >= most:
            best, most = v, fooled
        if most >= 1 - recipe.delta:
            break
    return best, most


def _predictions(classifier, x):
    return tf.argmax(classifier(x, training=False), -1, tf.int32)


def _all(predict, x):
    return np.concatenate([predict(tf.constant(x[i : i + BLOCK])) for i in range(0, len(x), BLOCK)])


def _into_ball(threat, v):
    """The nearest point of the ball around 0; the box is the images', not v's."""
    wide = dataclasses.replace(threat, box=(-float("inf"), float("inf")))
    return wide.project(v[None], tf.zeros_like(v[None]))[0].numpy()
