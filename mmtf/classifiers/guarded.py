"""`Guarded`: a classifier behind detectors, which reject images, and a reformer (MagNet)."""

import json
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mmtf.classifiers.classifier import Classifier, as_classifier
from mmtf.classifiers.detectors import Detector, reconstructed
from mmtf.classifiers.fingerprint import subclass_parts
from mmtf.errors import ConfigError, require
from mmtf.storage.digest import sha256


class Guarded(Classifier):
    """Detectors + reformer + classifier: f(AE(x)) with a right to reject x.

    The logits are those of the reformed image; the detectors score the image as it came. All of it
    is differentiable.

    Args:
      classifier: f, a Classifier, a Keras model or a function.
      reformer: the auto-encoder AE, of pixels in [0, 1]; None: images are classified as they are.
      detectors: an image is accepted if no detector rejects it.
      name: the name in tables and messages; None: `guarded` and the classifier's.

    Source: Meng & Chen (2017).

    Example:
      >>> inputs = keras.Input((2, 2, 1))
      >>> same = keras.Model(inputs, keras.layers.Identity()(inputs))
      >>> logits = keras.Sequential([inputs, keras.layers.Flatten(), keras.layers.Dense(3)])
      >>> from mmtf.classifiers.detectors import ReconstructionDetector
      >>> detector = ReconstructionDetector(autoencoder=same, threshold=0.0)
      >>> guarded = Guarded(logits, reformer=same, detectors=[detector])
      >>> guarded(tf.zeros([1, 2, 2, 1])).shape, guarded.accepts(tf.zeros([1, 2, 2, 1])).numpy()
      (TensorShape([1, 3]), array([ True]))
    """

    rejects = True

    def __init__(
        self,
        classifier: Any,
        *,
        reformer: keras.Model | None = None,
        detectors: Sequence[Detector] = (),
        name: str | None = None,
    ):
        base = as_classifier(classifier)
        super().__init__(
            base.model,
            name=name or f"guarded {base.name}",
            bounds=base.bounds,
            preprocessing=base.preprocessing,
            precision=base.precision,
            output=base.output,
        )
        require(
            all(isinstance(one, Detector) for one in detectors),
            "detectors of mmtf.classifiers.detectors",
            detectors,
        )
        self.base, self.reformer, self.detectors = base, reformer, tuple(detectors)

    def __call__(self, x: Any, training: bool = False) -> tf.Tensor:
        """Returns logits [N, classes] of the reformed images, for images in [-1, 1]."""
        return self.base(self.reformed(x), training=training)

    def __repr__(self) -> str:
        return (
            f"Guarded({self.base!r}, reformer={self.reformer is not None}, "
            f"detectors={[one.settings() for one in self.detectors]})"
        )

    def reformed(self, x: Any) -> tf.Tensor:
        """The images that are classified, in [-1, 1]."""
        x = tf.convert_to_tensor(x)
        return x if self.reformer is None else reconstructed(self.reformer, x)

    def rejection(self, x: Any) -> tf.Tensor:
        """(score - threshold) / threshold of each detector, float32 [N, detectors]."""
        x = tf.convert_to_tensor(x)
        if not self.detectors:
            return super().rejection(x)
        return tf.stack([one.rejection(x) for one in self.detectors], -1)

    @property
    def keras_model(self) -> keras.Model | None:
        """None: what bounds, files or training would take from `model` leaves the guard out."""
        return None

    @property
    def note(self) -> str | None:
        """None; the classifier inside has its own note."""
        return None

    @property
    def autoencoders(self) -> list[keras.Model]:
        """The different auto-encoders of reformer and detectors, in the order of their use."""
        used = [self.reformer, *(one.autoencoder for one in self.detectors)]
        return list(dict.fromkeys(one for one in used if one is not None))

    def at(self, precision: str | None) -> Classifier:
        """Returns this classifier in another precision; the same object on every call.

        Auto-encoders keep the precision that they were made in.
        """
        if precision not in self._siblings:
            other = Guarded(
                self.base.at(precision),
                reformer=self.reformer,
                detectors=[one.at(precision) for one in self.detectors],
                name=self.name,
            )
            other._siblings = self._siblings
            self._siblings[precision] = other
        return self._siblings[precision]

    @property
    def fingerprint(self) -> str:
        """Hash of the base classifier's fingerprint, the auto-encoders and the detectors."""
        models = self.autoencoders
        parts: list[Any] = [self.base.fingerprint]
        for one in models:
            parts += [json.dumps(one.get_config(), sort_keys=True, default=repr)]
            parts += [np.asarray(weight) for weight in one.get_weights()]
        places = [models.index(one.autoencoder) for one in self.detectors]
        told = [one.settings() for one in self.detectors]
        own = repr((self.reformer is not None, places, told))
        return sha256(*parts, own, *subclass_parts(self))

    def as_keras(self) -> keras.Model:
        """Raises ConfigError: a Keras model of logits alone would not reject.

        Raises:
          ConfigError: always.
        """
        raise ConfigError(
            "Expected a classifier without a rule of rejection. Received: "
            f"{self!r}. mmtf.magnet.save_guarded exports a guarded classifier."
        )
