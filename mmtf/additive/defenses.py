"""The defender's distributions over one vector, as lists of drawn vectors."""

import functools
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from mmtf.additive.game import Solved
from mmtf.classifiers.classifier import Classifier
from mmtf.errors import require_choice, require_int


class Defense:
    """A distribution over vectors, given by equally likely draws.

    Image i of a batch gets draw i modulo their number.

    Attributes:
      name: of `DEFENSES`.
      vectors: float32 [k, H, W, C].
      center: float32 [H, W, C], one vector that stands for all: 0, or v* of `smooth` too.
    """

    def __init__(self, name: str, vectors: np.ndarray, center: np.ndarray):
        self.name, self.vectors, self.center = name, vectors, center

    def added(self, n: int) -> np.ndarray:
        """The vectors of n images, float32 [n, H, W, C]."""
        return self.vectors[np.arange(n) % len(self.vectors)]

    def seen(self, classifier: Classifier, draws: int) -> Classifier:
        """The classifier that an adapted attack sees: the mean probability over `draws` draws.

        Args:
          classifier: of images.
          draws: number of draws in the mean, the last of `vectors`; fewer where there are fewer.
        """
        require_int("draws", draws)
        if self.name == "none":
            return classifier
        return Shifted(classifier, self.vectors[-draws:], self.name)


class Shifted(Classifier):
    """The classifier x -> log mean_k softmax(f(x + v_k)); of one vector f(x + v) itself.

    It is what an attack sees that knows the distribution and not the draw; `draws` gives the single
    ones.

    Args:
      classifier: f.
      vectors: v, float32 [k, H, W, C].
      name: of the defense, for messages.
    """

    def __init__(self, classifier: Classifier, vectors: np.ndarray, name: str):
        shifts = tf.constant(vectors)
        count = len(vectors)

        def mean(x, training=False):
            if count == 1:
                return classifier(x + shifts[0], training=training)
            moved = tf.reshape(shifts[:, None] + x[None], tf.concat([[-1], tf.shape(x)[1:]], 0))
            logs = tf.nn.log_softmax(classifier(moved, training=training))
            logs = tf.reshape(logs, [count, -1, logs.shape[-1]])
            return tf.reduce_logsumexp(logs, 0) - np.log(count).astype(np.float32)

        super().__init__(mean, name=f"{classifier.name} with {name}")
        self.base, self.shifts = classifier, shifts

    def draws(self) -> list[tuple[float, Callable[..., tf.Tensor]]]:
        """(1 / k, x -> f(x + v_k)) of every vector."""
        count = len(self.shifts)
        return [(1 / count, functools.partial(_at, self.base, v)) for v in self.shifts]


def _at(classifier, v, x, training=False):
    return classifier(x + v, training=training)


def _none(solved, eta, n, rng, shape):
    zero = np.zeros((1, *shape), np.float32)
    return zero, zero[0]


def _best_vector(solved, eta, n, rng, shape):
    return solved.vector[None], solved.vector


def _smooth(solved, eta, n, rng, shape):
    return solved.sample(n), solved.vector


def _random(solved, eta, n, rng, shape):
    drawn = rng.normal(size=(n, *shape))
    lengths = np.sqrt((drawn**2).sum(tuple(range(1, drawn.ndim)), keepdims=True))
    return (eta * drawn / lengths).astype(np.float32), np.zeros(shape, np.float32)


def _gaussian(solved, eta, n, rng, shape):
    deviation = eta / np.sqrt(np.prod(shape))
    return rng.normal(0, deviation, (n, *shape)).astype(np.float32), np.zeros(shape, np.float32)


# Name -> function that draws it. `random` has vectors of length eta in random directions;
# `gaussian` is the noise of randomized smoothing, of the root mean square length eta: it alone
# may leave the defender's ball.
DEFENSES: dict[str, Callable] = {
    "none": _none,
    "best_vector": _best_vector,
    "smooth": _smooth,
    "random": _random,
    "gaussian": _gaussian,
}


def draw_defense(name: str, solved: Solved, *, n: int, seed: int) -> Defense:
    """Draws the vectors of a defense.

    Args:
      name: of `DEFENSES`.
      solved: the game's solution.
      n: number of draws of `smooth`, `random` and `gaussian`, > 0.
      seed: of the draws of `random` and `gaussian`.

    Raises:
      ConfigError: an unknown name.
    """
    require_choice("defenses", name, DEFENSES)
    require_int("n", n)
    rng = np.random.default_rng([seed, list(DEFENSES).index(name)])
    vectors, center = DEFENSES[name](solved, solved.system.radius, n, rng, solved.shape)
    return Defense(name, vectors, center)
