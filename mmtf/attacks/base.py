"""`Attack`, what every attack is, and the queries to the classifier that attacks share."""

import dataclasses
import functools
import inspect
from collections.abc import Callable, Hashable, Iterator
from typing import Any, ClassVar, NamedTuple

import tensorflow as tf
from tensorflow import Tensor

from mmtf import losses
from mmtf.classifiers.classifier import Classifier, as_classifier
from mmtf.errors import ConfigError
from mmtf.threat import ThreatModel, require_threat


class Found(NamedTuple):
    """Images [N, H, W, C] that a step has looked at, and which of them succeed, bool [N]."""

    images: Tensor
    success: Tensor


@dataclasses.dataclass(eq=False, repr=False)
class Attack:
    """Maximizes the risk of a fixed classifier over Z under a threat model (Eq. 4).

    `attack(classifier, x, y, seed=...)` returns adversarial examples z, float32 [N, H, W, C], with
    ||z - x||_p <= eta and z in the box. It calls the classifier with training=False and never
    changes it. It runs eagerly or inside a tf.function (without AutoGraph, as in Keras' own loops:
    tf.cond or tf.where, not `if`, on a tensor's value), and a seed fixes the result.

    A subclass defines `run`. An iterative one defines `init`, `step`, `schedule` and `result`, and
    its `run` calls `mmtf.attacks.loop.attempt`, which runs them eagerly and in graphs.

    Args:
      threat: the ball and the box.

    Attributes:
      norms: the norms for which the attack is defined.
      deterministic: whether the seed is without effect.
      compiles_itself: whether an eager call runs compiled programs of its own; of an iterative
        attack one program a step, on the examples not yet successfully attacked.
      keeps_successful: whether an image on which the attack succeeds without a perturbation is
        returned as it is.
      queries_model: whether the result depends on the classifier's outputs.

    Raises:
      ConfigError: a norm for which the attack is not defined.
    """

    norms: ClassVar[tuple[str, ...]] = ("linf", "l2")
    deterministic = True
    compiles_itself = False
    keeps_successful = True
    queries_model = True
    threat: ThreatModel

    def __post_init__(self) -> None:
        require_threat(self.threat)
        if self.threat.norm not in self.norms:
            raise ConfigError(
                f"Expected norm {' or '.join(self.norms)} for {type(self).__name__}. "
                f"Received: {self.threat.norm!r}."
            )

    def __call__(self, classifier: Any, x: Any, y: Any, *, seed: Any = (0, 0)) -> Tensor:
        """Adversarial examples for the images `x`.

        Args:
          classifier: a Classifier, a Keras model or a function; see `as_classifier`. Inside a
            tf.function a model computes in the precision of that function's other parts.
          x: float32 [N, H, W, C] in the box.
          y: int [N], the true labels.
          seed: int [2].
        """
        classifier = self._subject(classifier)
        self.supports(classifier, x)
        x, y, seed = (tf.convert_to_tensor(value) for value in (x, y, seed))
        return self.run(classifier, x, y, seed)

    def run(self, classifier: Classifier, x: Tensor, labels: Tensor, seed: Tensor) -> Any:
        """The attack itself, on tensors; arguments as those of a call."""
        raise NotImplementedError(f"{type(self).__name__} must define run.")

    def supports(self, classifier: Any, x: Any) -> None:
        """Checks, before anything is compiled, that the attack is defined for this classifier.

        Args:
          classifier: as in a call.
          x: images [N, H, W, C], at least one.

        Raises:
          ConfigError: the classifier has too few classes.
        """

    def init(self, classifier: Classifier, x: Any, labels: Any, start: Any) -> tuple[Any, Any]:
        """(state before the first step, Found or None).

        Args:
          classifier: the one attacked.
          x: float32 [N, H, W, C], the images.
          labels: int [N], the true labels, or the targets of a targeted attack.
          start: what `attempt` was given: tensors [N, ...] in a structure of `tf.nest`.

        The state is any structure of `tf.nest` of tensors [N, ...].
        """
        raise NotImplementedError(f"{type(self).__name__} must define init.")

    def schedule(self, x: Tensor, seed: Tensor) -> Iterator[Any]:
        """For every step what it needs besides the state: tensors in a structure of `tf.nest`."""
        raise NotImplementedError(f"{type(self).__name__} must define schedule.")

    def step(self, classifier: Classifier, state: Any, settings: Any) -> tuple[Any, Any]:
        """(next state, Found, or None where no example is to leave); compiled in an eager run.

        Args:
          classifier: the one attacked.
          state: of the examples not yet successfully attacked.
          settings: this step's of `schedule`.
        """
        raise NotImplementedError(f"{type(self).__name__} must define step.")

    def result(self, state: Any) -> Tensor:
        """The images of examples that no step reports as a success; the state's `z` by default."""
        return state.z

    def succeeds(self, classifier: Classifier, z: Tensor, labels: Tensor) -> Tensor:
        """bool [N]: whether `z` is what the attack looks for, here misclassified."""
        return misclassified_fn(classifier)(z, labels) > 0

    def key(self) -> Hashable:
        """Equal for attacks of one class with equal attributes, which share compiled programs.

        An attack made anew for every batch is thereby not compiled anew. Attributes that are not
        hashable are equal only if they are the same object.
        """
        attributes = sorted(vars(self).items())
        return type(self), tuple((name, _hashable(value)) for name, value in attributes)

    def __repr__(self) -> str:
        names = list(inspect.signature(type(self).__init__).parameters)[1:]
        arguments = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__name__}({arguments})"

    def _subject(self, classifier):
        if not self.queries_model:
            return classifier
        made = as_classifier(classifier)
        if made is classifier or tf.executing_eagerly():
            return made
        # A bare model inside a training step computes in that step's precision.
        return made.at(None)


def program(classifier: Classifier, key: Hashable, function: Callable) -> Callable:
    """`function` of this classifier: compiled where called eagerly, else a part of the graph.

    Args:
      classifier: passed to `function` as its first argument.
      key: of the compiled program, see `Classifier.compiled`.
      function: called as function(classifier, *tensors).
    """
    if tf.executing_eagerly():
        return classifier.compiled(key, function)
    return functools.partial(function, classifier)


def misclassified_fn(classifier: Any) -> Callable[[Tensor, Tensor], Tensor]:
    """(z, y) -> float32 [N], 1 where `classifier` gets `z` wrong, else 0; a compiled program."""
    return program(as_classifier(classifier), "errors", errors_at)


def errors_at(classifier: Callable, z: Tensor, y: Tensor) -> Tensor:
    """1.0 [N] where `classifier` gets `z` wrong, else 0.0."""
    return losses.errors(classifier(z, training=False), y)


def input_gradient(
    classifier: Callable, x: Any, y: Any, loss: losses.Loss = losses.cross_entropy
) -> tuple[Tensor, Tensor]:
    """(logits, d loss_i / d x_i) at `x`; the gradient has the shape of `x`.

    Each example's gradient is its own: the losses are summed, not averaged, so that the batch
    size does not scale it (and tiny gradients do not vanish in float32).
    """
    x = tf.convert_to_tensor(x)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(x)
        logits = classifier(x, training=False)
        total = tf.reduce_sum(loss(logits, y))
    return logits, gradient_of(tape, total, x)


def gradient_of(tape: tf.GradientTape, total: Tensor, x: Tensor) -> Tensor:
    """d total / dx; zeros, not None, where `total` does not depend on `x`."""
    return tape.gradient(total, x, unconnected_gradients=tf.UnconnectedGradients.ZERO)


def where_per_example(condition: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """tf.where with a condition [N] for arrays [N, ...]."""
    return tf.where(per_example(condition, a), a, b)


def per_example(values: Tensor, like: Tensor) -> Tensor:
    """Values [N] as [N, 1, ..., 1], to be broadcast against `like` [N, ...]."""
    return tf.reshape(values, [-1] + [1] * (len(like.shape) - 1))


def _hashable(value):
    if isinstance(value, Attack):
        return value.key()
    if isinstance(value, tuple):
        return tuple(map(_hashable, value))
    try:
        hash(value)
    except TypeError:
        return _SameObject(value)
    return value


class _SameObject:
    """Keeps the object alive, for another one could take its place in memory afterwards."""

    def __init__(self, value):
        self.value = value

    def __eq__(self, other):
        return isinstance(other, _SameObject) and other.value is self.value

    def __hash__(self):
        return id(self.value)
