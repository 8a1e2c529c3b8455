"""`Mixture`: a classifier that draws one of several nets for each image."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mmtf.classifiers.admission import require_no_rejection
from mmtf.classifiers.classifier import Classifier, as_classifier
from mmtf.classifiers.fingerprint import subclass_parts
from mmtf.errors import require, require_names, require_seed
from mmtf.storage.digest import sha256

# Largest deviation of the sum of probabilities from 1 that is taken for rounding.
ROUNDING = 1e-6


class Mixture(Classifier):
    """Answers with net d with probability p_d, drawn for each image and call.

    Called as a Classifier it is not random: its logits are log sum_d p_d softmax f_d(x), the exact
    logarithm of the mean probabilities. An attack on it is therefore an attack through the exact
    expectation, whose cross-entropy is -log sum_d p_d softmax_d[y]. The error of the random answer
    is sum_d p_d 1[f_d wrong] (`mmtf.mixtures.expected_errors`), not that of the mean probabilities.

    Args:
      models: name -> net, or a sequence of nets: Classifiers, Keras models or functions.
      p: float [D], probabilities >= 0 that add up to 1; nets of probability 0 are never called.
      seed: of the draws of `model` and `drawn`.
      name: in tables and messages.
      precision: see `mmtf.Classifier`.

    Attributes:
      nets: name -> Classifier.
      p: float64 [D].
      model: a Keras model that draws one net per image in each call, of the seed's sequence, if all
        nets are Keras models; else a function that does.

    Raises:
      ConfigError: no nets, two of one name, or p is not a probability for each.

    Example:
      >>> nets = [keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)]) for _ in range(2)]
      >>> mixture = Mixture({"first": nets[0], "second": nets[1]}, [0.25, 0.75])
      >>> mixture(tf.zeros([4, 2])).shape, [weight for weight, _ in mixture.draws()]
      (TensorShape([4, 3]), [0.25, 0.75])
      >>> mixture.model(tf.zeros([4, 2])).shape
      TensorShape([4, 3])
    """

    def __init__(
        self,
        models: Mapping[str, Any] | Sequence[Any],
        p: Any,
        seed: int = 0,
        *,
        name: str = "mixture",
        precision: str | None = "float32",
    ):
        if not isinstance(models, Mapping):
            names = [f"net{number}" for number in range(len(models))]
            models = dict(zip(names, models, strict=True))
        require_names("models", list(models))
        require_seed(seed)
        self.nets = {key: as_classifier(one).at(precision) for key, one in models.items()}
        for one in self.nets.values():
            require_no_rejection(one, "a mixture")
        self.p = _probabilities(p, len(self.nets))
        self.seed = seed
        self._used = [
            (float(weight), net)
            for weight, net in zip(self.p, self.nets.values(), strict=True)
            if weight > 0
        ]
        keras_nets = all(net.keras_model is not None for _, net in self._used)
        drawing = _DrawingModel(self._used, seed) if keras_nets else _Drawing(self._used, seed)
        super().__init__(drawing, name=name, precision=precision)

    def __call__(self, x: Any, training: bool = False) -> tf.Tensor:
        """Returns log sum_d p_d softmax f_d(x), float32 [N, classes], for images in [-1, 1]."""
        logs = [
            tf.nn.log_softmax(tf.cast(net(x, training=training), tf.float32)) + np.log(weight)
            for weight, net in self._used
        ]
        return tf.reduce_logsumexp(tf.stack(logs), 0)

    def __repr__(self) -> str:
        weights = ", ".join(
            f"{key}: {weight:.4g}" for key, weight in zip(self.nets, self.p, strict=True)
        )
        return f"Mixture({{{weights}}}, seed={self.seed})"

    def drawn(self, x: Any, seed: Any = None) -> tuple[tf.Tensor, tf.Tensor]:
        """The logits of the net drawn for each image, and its number.

        Args:
          x: float32 [N, H, W, C] in [-1, 1].
          seed: int [2]; None: the mixture's seed and 0.

        Returns:
          Logits float32 [N, classes], and int32 [N], the index in `nets`.
        """
        own = [self.seed, 0] if seed is None else seed
        uniform = tf.random.stateless_uniform([tf.shape(x)[0]], tf.convert_to_tensor(own))
        logits, used = answers(self._used, x, uniform)
        return logits, tf.gather(tf.constant(np.flatnonzero(self.p), tf.int32), used)

    def draws(self) -> list[tuple[float, Callable[..., tf.Tensor]]]:
        """The pairs (p_d, net d) of positive probability."""
        return list(self._used)

    def at(self, precision: str | None) -> Classifier:
        """Returns this mixture in another precision; the same object on every call."""
        if precision not in self._siblings:
            other = Mixture(self.nets, self.p, self.seed, name=self.name, precision=precision)
            other._siblings = self._siblings
            self._siblings[precision] = other
        return self._siblings[precision]

    @property
    def num_classes(self) -> int | None:
        """Number of logits of the first net; None if it is not known."""
        return self._used[0][1].num_classes

    @property
    def note(self) -> None:
        """None: what is said of a net is said of each by itself."""
        return None

    @property
    def fingerprint(self) -> str:
        """Hash of the nets' fingerprints and their probabilities."""
        nets = [part for weight, net in self._used for part in (repr(weight), net.fingerprint)]
        return sha256(*nets, *subclass_parts(self))

    def as_keras(self) -> keras.Model:
        """Returns the Keras model that draws one net per image in each call.

        Raises:
          ConfigError: a net is not a Keras model.
        """
        require(self.keras_model is not None, "nets that are Keras models", self)
        assert self.keras_model is not None
        return self.keras_model

    @contextlib.contextmanager
    def computing(self) -> Iterator[None]:
        """Context manager: inside it each net computes in `precision`."""
        with contextlib.ExitStack() as stack:
            for _, net in self._used:
                stack.enter_context(net.computing())
            yield


def answers(
    used: Sequence[tuple[float, Callable[..., tf.Tensor]]], x: Any, uniform: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Each image's logits from the net that its uniform number selects, and the net's index.

    Every net is called on its own images alone.

    Args:
      used: (probability, net) pairs, whose probabilities add up to 1.
      x: float32 [N, H, W, C].
      uniform: float32 [N] in [0, 1).
    """
    x = tf.convert_to_tensor(x)
    bounds = tf.constant(np.cumsum([weight for weight, _ in used])[:-1], tf.float32)
    number = tf.reduce_sum(tf.cast(uniform[:, None] >= bounds[None], tf.int32), -1)
    parts, rows = [], []
    for index, (_, net) in enumerate(used):
        own = tf.where(number == index)[:, 0]
        parts.append(net(tf.gather(x, own), training=False))
        rows.append(own)
    order = tf.argsort(tf.concat(rows, 0))
    return tf.gather(tf.concat(parts, 0), order), number


class _Drawing:
    """A function of images that draws one net per image, from a sequence that the seed fixes."""

    def __init__(self, used, seed):
        self._used = used
        self._generator = keras.random.SeedGenerator(seed)

    def __call__(self, x, training=False):
        uniform = keras.random.uniform([tf.shape(x)[0]], seed=self._generator)
        return answers(self._used, x, uniform)[0]


class _DrawingModel(keras.Model):
    """`_Drawing` as a Keras model with the weights of the nets."""

    def __init__(self, used, seed):
        super().__init__(name="mixture")
        self.inner = [net.model for _, net in used]
        self._pairs = tuple((weight, net.at(None)) for weight, net in used)
        self.generator = keras.random.SeedGenerator(seed)
        self.built = True

    def call(self, x, training=False):
        uniform = keras.random.uniform([tf.shape(x)[0]], seed=self.generator)
        return answers(self._pairs, x, uniform)[0]


def _probabilities(p: Any, count: int) -> np.ndarray:
    p = np.asarray(p, np.float64)
    good = p.shape == (count,) and bool(np.isfinite(p).all()) and bool((p >= 0).all())
    good = good and abs(p.sum() - 1) <= ROUNDING
    require(good, f"{count} probabilities >= 0 that add up to 1", p.tolist())
    return p / p.sum()
