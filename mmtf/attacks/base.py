"""The base class `Attack`."""

import dataclasses
from collections.abc import Hashable, Iterator
from typing import Any, ClassVar, NamedTuple

import tensorflow as tf
from tensorflow import Tensor

from mmtf.arguments import kept_arguments
from mmtf.attacks.queries import checked_inputs, misclassified_fn, require_labels
from mmtf.classifiers.classifier import Classifier, as_classifier
from mmtf.errors import ConfigError
from mmtf.threat import ThreatModel, require_threat


class Found(NamedTuple):
    """Candidates that a step has evaluated.

    Attributes:
      images: float32 [N, H, W, C].
      success: bool [N], whether the attack succeeds on each image.
    """

    images: Tensor
    success: Tensor


@dataclasses.dataclass(eq=False, repr=False)
class Attack:
    """Base class: maximizes the risk of a fixed classifier over Z under a threat model (Eq. 4).

    `attack(classifier, x, y, seed=...)` returns adversarial examples z, float32 [N, H, W, C], with
    ||z - x||_p <= eta and every pixel in the box (the pixel range). It calls the classifier with
    training=False and never changes it. The seed determines the result. An attack runs eagerly or
    inside a tf.function; AutoGraph is off, so code that depends on a tensor's value uses tf.cond
    or tf.where instead of `if`.

    A subclass defines `run`. An iterative subclass defines `init`, `schedule`, `step` and
    `result`, and its `run` calls `mmtf.attacks.loop.attempt`, which runs them eagerly or as a
    graph.

    Args:
      threat: threat model.

    Attributes:
      norms: norms that the attack supports.
      deterministic: whether the result is the same for every seed.
      compiles_itself: whether an eager call compiles its own programs. An iterative attack
        compiles one step and runs it on the examples not yet successfully attacked.
      keeps_successful: whether a clean image on which the attack already succeeds is returned
        unchanged.
      queries_model: whether the result depends on the classifier's outputs.

    Raises:
      ConfigError: the attack does not support the threat model's norm.
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
        """Computes adversarial examples for the images `x`.

        Args:
          classifier: a Classifier, a Keras model or a function; see `as_classifier`. Inside a
            tf.function a Keras model keeps that function's precision; else it computes in float32.
          x: float32 [N, H, W, C] in the box.
          y: int [N], true labels.
          seed: int [2].

        Returns:
          float32 [N, H, W, C], the adversarial examples.

        Raises:
          ConfigError: images, labels or seed of another type or shape; images outside of the box
            or labels that are no classes (not checked inside a tf.function); see also `supports`.
        """
        classifier = self._subject(classifier)
        images, labels, seed = self._inputs(classifier, x, y, seed)
        self.supports(classifier, images)
        return self.run(classifier, images, labels, seed)

    def run(self, classifier: Classifier, x: Tensor, labels: Tensor, seed: Tensor) -> Any:
        """Runs the attack on tensors; same arguments as `__call__`."""
        raise NotImplementedError(f"{type(self).__name__} must define run.")

    def supports(self, classifier: Any, x: Any) -> None:
        """Checks, before anything is compiled, that the attack supports this classifier.

        Args:
          classifier: see `__call__`.
          x: images [N, H, W, C], N > 0.

        Raises:
          ConfigError: the classifier has too few classes.
        """

    def aims_at(self, classifier: Any, x: Any, y: Any, seed: Any) -> Tensor | None:
        """The class at which the attack aims for each example, int [N]; None: untargeted.

        Same arguments as `__call__`, which aims at these classes. Where the target is the true
        class, `__call__` returns the clean image.
        """
        return None

    def init(self, classifier: Classifier, x: Any, labels: Any, start: Any) -> tuple[Any, Any]:
        """Computes the state before the first step.

        Args:
          classifier: the classifier under attack.
          x: float32 [N, H, W, C], clean images.
          labels: int [N], true labels, or the target classes of a targeted attack.
          start: the argument `start` of `attempt`: a nested structure (`tf.nest`) of tensors
            [N, ...].

        Returns:
          The state, any nested structure of tensors [N, ...], and the candidates evaluated
          (`Found`) or None.
        """
        raise NotImplementedError(f"{type(self).__name__} must define init.")

    def schedule(self, x: Tensor, seed: Tensor) -> Iterator[Any]:
        """Yields the settings of each step, a nested structure (`tf.nest`) of tensors."""
        raise NotImplementedError(f"{type(self).__name__} must define schedule.")

    def step(self, classifier: Classifier, state: Any, settings: Any) -> tuple[Any, Any]:
        """Computes the next state; compiled when the attack runs eagerly.

        Args:
          classifier: the classifier under attack.
          state: state of the examples not yet successfully attacked.
          settings: the element of `schedule` for this step.

        Returns:
          The next state, and the candidates evaluated (`Found`), or None if no example is to be
          dropped from the batch.
        """
        raise NotImplementedError(f"{type(self).__name__} must define step.")

    def lean_step(self, classifier: Classifier, state: Any, settings: Any) -> tuple[Any, Any]:
        """`step` with the same result, run when the attack is called eagerly; by default `step`.

        Unlike `step` it may have shapes that depend on values, which XLA refuses, such as those of
        the examples that are worth a forward pass.

        Args:
          classifier, state, settings: see `step`.
        """
        return self.step(classifier, state, settings)

    def result(self, state: Any) -> Tensor:
        """Images returned for examples without a successful candidate; by default `state.z`."""
        return state.z

    @property
    def iterations(self) -> int | None:
        """Number of settings that `schedule` yields; None: unknown, or not iterative."""
        return getattr(self, "steps", None)

    def passes(self, classes: int) -> float:
        """Largest number of forward passes of an image; a gradient counts as two more.

        An evaluation estimates by it how long the attack will take.

        Args:
          classes: number of logits of the classifier.
        """
        return 3.0 * (self.iterations or 1) * getattr(self, "restarts", 1)

    def succeeds(self, classifier: Classifier, z: Tensor, labels: Tensor) -> Tensor:
        """bool [N]: whether the attack succeeds; by default, whether `z` is misclassified."""
        return misclassified_fn(classifier)(z, labels) > 0

    def key(self) -> Hashable:
        """Key of the attack's compiled programs.

        Attacks of one class with equal attributes have equal keys and share compiled programs, so
        that constructing an attack again for every batch does not compile it again. Attributes
        that are not hashable are compared by identity.
        """
        attributes = sorted(vars(self).items())
        return type(self), tuple((name, _hashable(value)) for name, value in attributes)

    def step_key(self) -> Hashable:
        """Key of the compiled step; a class may leave out attributes that its step ignores."""
        return self.key()

    def __repr__(self) -> str:
        try:
            given = kept_arguments(self)
        except ConfigError:  # it is told where results are kept
            given = vars(self)
        arguments = ", ".join(f"{name}={value!r}" for name, value in given.items())
        return f"{type(self).__name__}({arguments})"

    def _inputs(self, classifier, x, y, seed):
        """Images, labels and seed as tensors, checked."""
        images, labels, seed = checked_inputs(x, y, seed)
        if tf.executing_eagerly():
            self.threat.require_in_box(images)
            require_labels(labels, getattr(classifier, "num_classes", None))
        return images, labels, seed

    def _subject(self, classifier):
        if not self.queries_model:
            return classifier
        made = as_classifier(classifier)
        if made is classifier or tf.executing_eagerly():
            return made
        # Inside a training step a Keras model computes in that step's precision.
        return made.at(None)


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
    """Compares by identity. Keeps the object alive, so that its id is not reused."""

    def __init__(self, value):
        self.value = value

    def __eq__(self, other):
        return isinstance(other, _SameObject) and other.value is self.value

    def __hash__(self):
        return id(self.value)
