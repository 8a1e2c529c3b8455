"""Detectors of MagNet: scores of images by an auto-encoder, and the thresholds that reject them."""

import dataclasses
import functools
import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mmtf.classifiers.classifier import Classifier, as_classifier
from mmtf.errors import ConfigError, require, require_number

# Smallest divisor of a score's excess: the auto-encoder of the identity has the threshold 0.
TINY = 1e-12


def threshold_at(scores: Any, rate: float) -> float:
    """The k-th largest of n scores, k = floor(rate n); a score above it is rejected.

    An image drawn like the n held-out images scores above it with a probability of at most
    k / (n + 1) <= rate. With k = 0 no score has this guarantee; the threshold is then the
    largest score, which an image exceeds with a probability of at most 1 / (n + 1).

    Args:
      scores: finite, [n], n > 0; of held-out training images, never of test images.
      rate: largest share of unperturbed images to reject, in [0, 1).

    Raises:
      ConfigError: an argument out of range.

    Example:
      >>> threshold_at(range(1, 101), 0.05), threshold_at(range(1, 101), 0.001)
      (96.0, 100.0)
    """
    require_number("rate", rate, at_least=0, below=1)
    values = np.sort(np.asarray(scores, np.float32))[::-1]
    require(values.ndim == 1 and values.size > 0, "scores [n], n > 0", values.shape)
    require(bool(np.isfinite(values).all()), "finite scores", "NaN or infinity")
    # 0.29 * 100 is 28.999999999999996 in floating point; it means 29.
    k = math.floor(rate * values.size + 1e-9)
    return float(values[max(k, 1) - 1])


def jensen_shannon(logits_p: tf.Tensor, logits_q: tf.Tensor) -> tf.Tensor:
    """Jensen-Shannon divergence of two softmax distributions, in nats, in [0, ln 2]; shape [N].

    It is KL(p || m) / 2 + KL(q || m) / 2 with m = (p + q) / 2. It is computed from logarithms, so
    that value and gradient stay finite where a probability rounds to 0.

    Args:
      logits_p, logits_q: finite, [N, C].

    Example:
      >>> one, other = tf.constant([[200.0, 0.0]]), tf.constant([[0.0, 200.0]])
      >>> print(jensen_shannon(one, one).numpy(), jensen_shannon(one, other).numpy().round(4))
      [0.] [0.6931]
    """
    log_p, log_q = tf.nn.log_softmax(logits_p), tf.nn.log_softmax(logits_q)
    log_m = log_p + tf.nn.softplus(log_q - log_p) - math.log(2.0)
    to_m = tf.exp(log_p) * (log_p - log_m) + tf.exp(log_q) * (log_q - log_m)
    return tf.reduce_sum(to_m, -1) / 2.0


def reconstructed(autoencoder: keras.Model, x: tf.Tensor) -> tf.Tensor:
    """What an auto-encoder of pixels in [0, 1] makes of images in [-1, 1], clipped to [-1, 1]."""
    pixels = autoencoder((x + 1.0) / 2.0, training=False)
    return tf.clip_by_value(pixels, 0.0, 1.0) * 2.0 - 1.0


@dataclasses.dataclass(eq=False, kw_only=True)
class Detector:
    """Base class: rejects images whose score is above the threshold.

    Attributes:
      autoencoder: maps pixels in [0, 1], float32 [N, H, W, C], to pixels of the same shape.
      threshold: >= 0; infinity rejects nothing.
    """

    autoencoder: keras.Model
    threshold: float = math.inf

    def __post_init__(self) -> None:
        require(callable(self.autoencoder), "an auto-encoder", self.autoencoder)
        require(self.threshold >= 0, "threshold >= 0", self.threshold)

    def scores(self, x: tf.Tensor) -> tf.Tensor:
        """The score of each image, float32 [N], for images in [-1, 1]."""
        raise NotImplementedError(f"{type(self).__name__} must define scores.")

    def rejection(self, x: tf.Tensor) -> tf.Tensor:
        """(score - threshold) / threshold, float32 [N]: > 0 where the image is rejected."""
        scores = self.scores(x)
        if math.isinf(self.threshold):
            return -tf.ones_like(scores)
        return (scores - self.threshold) / max(self.threshold, TINY)

    def settings(self) -> dict[str, Any]:
        """What determines the detector beside its auto-encoder, as plain JSON data."""
        raise NotImplementedError(f"{type(self).__name__} must define settings.")

    def at(self, precision: str | None) -> "Detector":
        """The same detector with its classifier, if it has one, in another precision."""
        return self


@dataclasses.dataclass(eq=False, kw_only=True)
class ReconstructionDetector(Detector):
    """Score: the mean over the values of an image of |x - AE(x)|^p, with pixels in [0, 1].

    Args:
      autoencoder, threshold: see `Detector`.
      p: power, > 0. MagNet uses 1 and 2.

    Source: Meng & Chen (2017), section 3.3; the mean takes the place of the norm.
    """

    p: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require_number("p", self.p, above=0)

    def scores(self, x: tf.Tensor) -> tf.Tensor:
        pixels = (x + 1.0) / 2.0
        difference = tf.abs(pixels - self.autoencoder(pixels, training=False))
        powers = difference if self.p == 1 else difference**self.p
        return tf.reduce_mean(powers, list(range(1, powers.shape.rank)))

    def settings(self) -> dict[str, Any]:
        return {"kind": "reconstruction", "p": self.p, "threshold": self.threshold}


@dataclasses.dataclass(eq=False, kw_only=True)
class DivergenceDetector(Detector):
    """Score: Jensen-Shannon divergence of softmax(f(x) / T) and softmax(f(AE(x)) / T).

    Args:
      autoencoder, threshold: see `Detector`.
      classifier: f, a Classifier, a Keras model or a function.
      temperature: T > 0. MagNet uses 10 and 40.

    Source: Meng & Chen (2017), section 3.3.
    """

    classifier: Any
    temperature: float = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require_number("temperature", self.temperature, above=0)
        self.classifier: Classifier = as_classifier(self.classifier)

    def scores(self, x: tf.Tensor) -> tf.Tensor:
        answers = (x, reconstructed(self.autoencoder, x))
        logits = [self.classifier(one, training=False) / self.temperature for one in answers]
        return jensen_shannon(*logits)

    def settings(self) -> dict[str, Any]:
        kept = {"temperature": self.temperature, "threshold": self.threshold}
        return {"kind": "divergence", **kept}

    def at(self, precision: str | None) -> "Detector":
        return dataclasses.replace(self, classifier=self.classifier.at(precision))


def calibrated(detector: Detector, x: np.ndarray, rate: float, batch_size: int = 500) -> Detector:
    """The detector with the threshold that rejects at most a share `rate` of held-out images.

    Args:
      detector: its own threshold is not used.
      x: held-out training images, float32 [n, H, W, C] in [-1, 1].
      rate: see `threshold_at`.
      batch_size: images scored together.

    Raises:
      ConfigError: see `threshold_at`.
    """
    if not len(x):
        raise ConfigError("Expected at least one held-out image. Received: none.")
    # A partial, because TensorFlow counts traces per line of code and would warn.
    call = functools.partial(type(detector).scores, detector)
    scored = tf.function(call, autograph=False, reduce_retracing=True)
    scores = [scored(tf.constant(x[i : i + batch_size])) for i in range(0, len(x), batch_size)]
    return dataclasses.replace(detector, threshold=threshold_at(np.concatenate(scores), rate))
