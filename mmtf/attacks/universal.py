"""Universal adversarial perturbations (Moosavi-Dezfooli et al. 2017)."""

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow import Tensor

from mmtf.attacks.base import Attack
from mmtf.attacks.deepfool import DeepFool
from mmtf.classifiers.classifier import as_classifier
from mmtf.errors import require, require_int, require_number
from mmtf.threat import ThreatModel

BLOCK = 500


class UniversalPerturbation(Attack):
    """z = clip(x + v): adds one perturbation v with ||v||_p <= eta to every image.

    Args:
      threat: threat model.
      perturbation: v, float [H, W, C], such as `universal_perturbation` computes.
    """

    queries_model = False

    def __init__(self, threat: ThreatModel, perturbation: Any):
        super().__init__(threat)
        self.perturbation = np.asarray(perturbation, np.float32)

    def run(self, classifier: Any, x: Tensor, labels: Tensor, seed: Tensor) -> Tensor:
        return self.threat.project(x + self.perturbation, x)


@dataclasses.dataclass(frozen=True, kw_only=True)
class UniversalRecipe:
    """Settings of `universal_perturbation`.

    Attributes:
      images: number of training images, > 0; capped at the number available.
      delta: in [0, 1); the search ends once a share of 1 - delta of the images is fooled.
      passes: maximum number of passes over the images, > 0.
      batch_size: number of images whose DeepFool steps are computed at the same v, > 0; 1 gives
        the paper's algorithm.
      steps: maximum number of DeepFool steps, > 0.
      overshoot: overshoot of DeepFool, >= 0.
    """

    images: int = 1000
    delta: float = 0.2
    passes: int = 5
    batch_size: int = 50
    steps: int = 10
    overshoot: float = 0.02

    def __post_init__(self) -> None:
        for name in ("images", "passes", "batch_size", "steps"):
            require_int(name, getattr(self, name))
        require_number("delta", self.delta, at_least=0, below=1)
        require_number("overshoot", self.overshoot, at_least=0)

    def to_dict(self) -> dict:
        """The settings by name, in JSON types."""
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
    """Computes a perturbation v that changes the classifier's prediction on most images.

    In each pass, every image whose prediction v does not change adds to v the smallest step
    (DeepFool) that would change it, and v is projected onto the ball. The paper handles one image
    at a time; here the steps of a batch are computed at the same v and their sum is added. A pass
    may undo progress of an earlier one, so the best v at the end of a pass is returned. With a
    single linear boundary the result is exact: eta times the steepest step across it.

    Args:
      classifier: a Classifier, a Keras model or a function.
      x: float32 [N, H, W, C] in the box, N > 0; the first `recipe.images` are used.
      threat: threat model.
      recipe: settings of the search.
      seed: seed for the order of the images in each pass.

    Returns:
      v, float32 [H, W, C], and the share of images whose prediction it changes, in [0, 1].

    Raises:
      ConfigError: `x` is empty.

    Source: Moosavi-Dezfooli et al. (2017), Algorithm 1.
    """
    x = np.asarray(x[: recipe.images], np.float32)
    require(len(x) > 0, "at least one image", len(x))
    low, high = threat.box
    # A ball that contains the whole box: eta bounds v, not DeepFool's step for one image.
    everywhere = threat.with_radius((high - low) * float(np.sqrt(x[0].size)))
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
    """Projects v onto the ball around 0. The box constrains images, not v."""
    size = 2.0 * threat.radius
    wide = dataclasses.replace(threat, box=(-size, size))
    return wide.project(v[None], tf.zeros_like(v[None]))[0].numpy()
