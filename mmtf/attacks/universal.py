"""Universal adversarial perturbations (Moosavi-Dezfooli et al. 2017)."""

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow import Tensor

from mmtf.attacks.base import Attack
from mmtf.attacks.deepfool import DeepFool, require_candidates
from mmtf.classifiers.classifier import as_classifier
from mmtf.errors import require, require_int, require_number
from mmtf.threat import ThreatModel

# Images whose predictions are computed together where `at_once` does not say.
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
        known = x.shape[1:].is_fully_defined()
        same = not known or self.perturbation.shape == tuple(x.shape[1:])
        require(same, f"a perturbation of shape {x.shape[1:]}", self.perturbation.shape)
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
      candidates: classes that DeepFool considers, > 1; None: all.
    """

    images: int = 1000
    delta: float = 0.2
    passes: int = 5
    batch_size: int = 50
    steps: int = 10
    overshoot: float = 0.02
    candidates: int | None = 10

    def __post_init__(self) -> None:
        for name in ("images", "passes", "batch_size", "steps"):
            require_int(name, getattr(self, name))
        require_number("delta", self.delta, at_least=0, below=1)
        require_number("overshoot", self.overshoot, at_least=0)
        require_candidates(self.candidates)

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
    at_once: int | None = None,
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
      at_once: largest number of images in one call of the classifier, > 0, which bounds the
        memory; None: `recipe.batch_size`, and 500 for predictions. The result is the same up to
        rounding.

    Returns:
      v, float32 [H, W, C], and the share of images whose prediction it changes, in [0, 1].

    Raises:
      ConfigError: `x` is empty.

    Source: Moosavi-Dezfooli et al. (2017), Algorithm 1.
    """
    x = np.asarray(x[: recipe.images], np.float32)
    require(len(x) > 0, "at least one image", len(x))
    if at_once is not None:
        require_int("at_once", at_once)
    low, high = threat.box
    # A ball that contains the whole box: eta bounds v, not DeepFool's step for one image.
    everywhere = threat.with_radius((high - low) * float(np.sqrt(x[0].size)))
    deepfool = DeepFool(
        everywhere,
        steps=recipe.steps,
        overshoot=recipe.overshoot,
        candidates=recipe.candidates,
    )
    classifier, size = as_classifier(classifier), at_once or recipe.batch_size
    predict = classifier.compiled("predictions", _predictions)
    random, clean = np.random.default_rng(seed), _all(predict, x, at_once or BLOCK)
    v, best, most = np.zeros_like(x[0]), np.zeros_like(x[0]), 0.0
    for _ in range(recipe.passes):
        order = random.permutation(len(x))
        for rows in np.split(order, range(recipe.batch_size, len(x), recipe.batch_size)):
            step = np.zeros_like(v)
            for some in np.split(rows, range(size, len(rows), size)):
                z, labels = threat.clip_box(x[some] + v), tf.constant(clean[some])
                after = deepfool(classifier, z, labels)
                crossed = predict(after) != labels
                moved = tf.where(crossed[:, None, None, None], after - z, 0.0)
                step += tf.reduce_sum(moved, 0).numpy()
            v = _into_ball(threat, v + step)
        fooled = float(np.mean(_all(predict, x, at_once or BLOCK, threat, v) != clean))
        if fooled >= most:
            best, most = v, fooled
        if most >= 1 - recipe.delta:
            break
    return best, most


def _predictions(classifier, x):
    return tf.argmax(classifier(x, training=False), -1, tf.int32)


def _all(predict, x, size, threat=None, v=None):
    """Predictions for all of `x`, or for clip(x + v); `size` images at a time."""
    found = []
    for i in range(0, len(x), size):
        images = tf.constant(x[i : i + size])
        found.append(predict(images if v is None else threat.clip_box(images + v)))
    return np.concatenate(found)


def _into_ball(threat, v):
    """Projects v onto the ball around 0. The box constrains images, not v."""
    size = 2.0 * threat.radius
    wide = dataclasses.replace(threat, box=(-size, size))
    return wide.project(v[None], tf.zeros_like(v[None]))[0].numpy()
