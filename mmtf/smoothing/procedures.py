"""Certification and prediction of a smoothed classifier, from the images on."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mmtf.errors import require_int
from mmtf.smoothing.certificates import Certified, certified_of, voted
from mmtf.smoothing.noisy_votes import ESTIMATION, SELECTION, counts


def certify(
    classifier: Any,
    x: np.ndarray,
    *,
    sigma: float,
    n: int = 10_000,
    n0: int = 100,
    alpha: float = 0.001,
    seed: int = 0,
    indices: Sequence[int] | None = None,
) -> Certified:
    """Certifies the smoothed classifier g(x) = argmax_c P(f(x + e) = c), e ~ N(0, sigma^2 I).

    n0 draws select a class, n others bound its probability from below; see `certified_of`.

    Args:
      classifier: f, a Classifier, a Keras model, or a function (images, training=False) -> logits.
      x: images, float32 [N, H, W, C] in the box.
      sigma: for pixels in [-1, 1], > 0; the radii are on this scale.
      n, n0: numbers of draws, > 0.
      alpha: probability, for each image, that a certificate does not hold, in (0, 1).
      seed, indices: see `counts`.

    Example:
      >>> import tensorflow as tf
      >>> halves = lambda x, training: tf.stack([x[:, 0, 0, 0], -x[:, 0, 0, 0]], 1)
      >>> found = certify(halves, np.full([1, 1, 1, 1], 0.5, np.float32), sigma=1.0)
      >>> found.label.tolist(), bool(0.4 < found.radius[0] < 0.5)  # its exact radius is 0.5
      ([0], True)
    """
    require_int("n0", n0)
    given: dict[str, Any] = {"seed": seed, "indices": indices}
    selection = counts(classifier, x, sigma, n0, **given, stream=SELECTION)
    estimation = counts(classifier, x, sigma, n, **given, stream=ESTIMATION)
    return certified_of(selection, estimation, sigma, alpha)


def predict(
    classifier: Any,
    x: np.ndarray,
    *,
    sigma: float,
    n: int = 1000,
    alpha: float = 0.001,
    seed: int = 0,
    indices: Sequence[int] | None = None,
) -> np.ndarray:
    """The class of the smoothed classifier by the vote of n draws, ABSTAIN where it is not certain.

    Arguments as for `certify`; see `voted`.

    Returns:
      int64 [N].
    """
    return voted(counts(classifier, x, sigma, n, seed, indices=indices), alpha)
