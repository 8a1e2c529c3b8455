"""`Smoothed`: a classifier's mean prediction under Gaussian noise on its input."""

import math
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from mmtf.classifiers.admission import require_no_rejection
from mmtf.classifiers.classifier import Classifier, as_classifier
from mmtf.classifiers.fingerprint import subclass_parts
from mmtf.errors import ConfigError, require_int, require_number, require_seed
from mmtf.storage.digest import sha256


class Smoothed(Classifier):
    """Logits log((1/m) sum_j softmax f(x + e_j)) of a classifier f, for m fixed draws e_j.

    The draws of N(0, sigma^2 I) follow from the seed and are the same for every image and call, so
    that this is a deterministic, differentiable classifier: an attack on it maximizes the mean
    over the draws (expectation over transformation), as Salman et al. (2019) attack a smoothed
    classifier. Judge the images that it finds by fresh draws, `mmtf.smoothing.counts`: an attack
    may fool the m draws alone. Noisy images are not clipped to the box, in training and in
    certification neither.

    Args:
      classifier: f, a Classifier, a Keras model or a function.
      sigma: standard deviation of the noise for pixels in [-1, 1], > 0: twice that of papers, whose
        pixels lie in [0, 1].
      samples: m, number of draws, > 0; time and memory are m times those of f.
      seed: of the draws.

    Example:
      >>> model = keras.Sequential([keras.Input((2, 2, 1)), keras.layers.Flatten(),
      ...                           keras.layers.Dense(3)])
      >>> smoothed = Smoothed(model, sigma=0.5, samples=4)
      >>> smoothed(tf.zeros([1, 2, 2, 1])).shape, len(smoothed.draws())
      (TensorShape([1, 3]), 4)
    """

    def __init__(self, classifier: Any, *, sigma: float, samples: int = 16, seed: int = 0):
        require_number("sigma", sigma, above=0)
        require_int("samples", samples)
        require_seed(seed)
        base = as_classifier(classifier)
        require_no_rejection(base, "smoothing")
        super().__init__(
            base.model,
            name=f"smoothed {base.name}",
            bounds=base.bounds,
            preprocessing=base.preprocessing,
            precision=base.precision,
            output=base.output,
        )
        self.base, self.sigma, self.samples, self.seed = base, float(sigma), samples, seed

    def __call__(self, x: Any, training: bool = False) -> tf.Tensor:
        """Returns logits [N, classes] for images [N, H, W, C] in [-1, 1]."""
        x = tf.convert_to_tensor(x)
        shape = tf.shape(x)
        noise = tf.stack([self._noise(x, number) for number in range(self.samples)])
        many = tf.reshape(x[None] + noise[:, None], tf.concat([[-1], shape[1:]], 0))
        many.set_shape([None, *x.shape[1:]])
        logs = tf.nn.log_softmax(self.base(many, training=training))
        logs = tf.reshape(logs, [self.samples, shape[0], logs.shape[-1]])
        return tf.reduce_logsumexp(logs, 0) - math.log(self.samples)

    def __repr__(self) -> str:
        return (
            f"Smoothed({self.base!r}, sigma={self.sigma!r}, samples={self.samples!r}, "
            f"seed={self.seed!r})"
        )

    def draws(self) -> list[tuple[float, Callable[..., tf.Tensor]]]:
        """The m pairs (1 / m, x -> f(x + e_j))."""

        def at_draw(number):
            def call(x, training=False):
                x = tf.convert_to_tensor(x)
                return self.base(x + self._noise(x, number), training=training)

            return call

        return [(1.0 / self.samples, at_draw(number)) for number in range(self.samples)]

    def at(self, precision: str | None) -> "Classifier":
        """Returns this classifier in another precision; the same object on every call."""
        if precision not in self._siblings:
            base, options = self.base.at(precision), {"samples": self.samples, "seed": self.seed}
            other = Smoothed(base, sigma=self.sigma, **options)
            other._siblings = self._siblings
            self._siblings[precision] = other
        return self._siblings[precision]

    @property
    def fingerprint(self) -> str:
        """Hash of the base classifier's fingerprint and of what determines the draws."""
        own = repr((self.sigma, self.samples, self.seed))
        return sha256(self.base.fingerprint, own, *subclass_parts(self))

    def as_keras(self) -> keras.Model:
        """Raises ConfigError: no Keras layer draws this noise; see `mmtf.smoothing.save_smoothed`.

        Raises:
          ConfigError: always.
        """
        raise ConfigError(
            "Expected a classifier without noise, whose model is a Keras model. Received: "
            f"{self!r}. mmtf.smoothing.save_smoothed exports a smoothed classifier."
        )

    def _noise(self, x, number):
        """e_j of the shape of one image."""
        return self.sigma * tf.random.stateless_normal(
            tf.shape(x)[1:], [self.seed, number], dtype=x.dtype
        )
