"""`Classifier`: the interface through which attacks, games and evaluations call a model."""

import contextlib
import copy
import functools
import types
from collections.abc import Callable, Hashable, Iterator
from typing import Any

import keras
import tensorflow as tf

from mmtf.classifiers.adapted import as_keras_model
from mmtf.classifiers.fingerprint import (
    own_fingerprint,
    parts_of,
    preprocessed_digest,
    subclass_parts,
)
from mmtf.classifiers.outputs import Output, choose, symbolic_output, two_logits
from mmtf.classifiers.precision import computing_in
from mmtf.classifiers.unwrapping import End, squashing_end, taken_off
from mmtf.errors import require, require_choice, require_range, require_text
from mmtf.kernels import optimized
from mmtf.storage.digest import sha256

BOX = (-1.0, 1.0)
# Attribute of a model that stores its Classifier (`as_classifier`). Keras neither tracks nor saves
# attributes whose names begin with two underscores.
KEPT = "__mmtf_classifier__"


class Classifier:
    """Maps images in [-1, 1] to logits in a given precision, and caches its compiled functions.

    A functional or Sequential Keras model that ends in a softmax, or in one sigmoid unit, is called
    without it (`squashing_end`), and one logit z becomes the two logits [0, z]: the classes are 0
    and 1, with the probabilities 1 - sigmoid(z) and sigmoid(z). `note` says so. The model and its
    weights stay the user's own. Logits of another floating-point type are converted to float32,
    unless `precision` is None.

    Args:
      model: a built Keras model, or any callable(images, training=False), that returns logits
        [N, classes] or [N, 1], or a Keras model that ends as above.
      name: the classifier's name in tables and messages.
      bounds: (low, high), the pixel range that `model` expects. Images in the box [-1, 1] are
        rescaled to it. A radius eta always refers to the box: a model on [0, 1] sees changes of at
        most eta / 2.
      preprocessing: applied to the images after rescaling to `bounds` and before `model`; must
        consist of differentiable TensorFlow operations.
      precision: `float32` or `bfloat16`, in which the layers of a Keras model compute when called
        through this classifier, overriding their dtype policies; None: the layers keep their
        policies. Has no effect on models that are not Keras models.
      output: of a model with several outputs, the one that gives the logits: its key, its layer's
        name or its index from 0; None: the only one.

    Raises:
      ConfigError: `model` is not callable, low >= high, an unknown precision; or, when called, a
        model of several outputs without a choice.

    Example:
      >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
      >>> classifier = Classifier(model, bounds=(0, 255))
      >>> classifier(tf.zeros([1, 2])).shape, classifier.num_classes
      (TensorShape([1, 3]), 3)
    """

    rejects = False  # whether there are rules of rejection

    def __init__(
        self,
        model: Any,
        *,
        name: str = "model",
        bounds: tuple[float, float] = BOX,
        preprocessing: Callable[[tf.Tensor], tf.Tensor] | None = None,
        precision: str | None = "float32",
        output: Output = None,
    ):
        require(callable(model), "a Keras model or a function from images to logits", model)
        require_range("bounds", bounds)
        require_text("name", name)
        if precision is not None:
            require_choice("precision", precision, ("float32", "bfloat16"))
        self.model = model
        self.name = name
        self.bounds = (float(bounds[0]), float(bounds[1]))
        self.preprocessing = preprocessing
        self.precision = precision
        self.output = output
        self._compiled: dict[Hashable, Callable] = {}
        self._siblings: dict[str | None, Classifier] = {precision: self}

    def __call__(self, x: Any, training: bool = False) -> tf.Tensor:
        """Returns logits [N, classes] for images [N, H, W, C] in [-1, 1]."""
        x = self.inputs_of(x)
        if self.keras_model is not None and not self.keras_model.built:
            self.keras_model(x, training=False)  # how it ends is known once it is built
        with self.computing(), taken_off(self._end):
            logits = choose(self.model(x, training=training), self.output, self.model)
        logits = tf.convert_to_tensor(logits)
        if self.precision is not None and logits.dtype.is_floating:
            logits = tf.cast(logits, tf.float32)
        return two_logits(logits)

    def __repr__(self) -> str:
        chosen = "" if self.output is None else f", output={self.output!r}"
        return (
            f"Classifier({self.name!r}, bounds={self.bounds}, precision={self.precision!r}{chosen})"
        )

    def inputs_of(self, x: Any) -> Any:
        """Rescales images in [-1, 1] to `bounds` and preprocesses them: the inputs of the model."""
        if self.bounds != BOX:
            low, high = self.bounds
            x = low + (x + 1.0) * ((high - low) / 2.0)
        return x if self.preprocessing is None else self.preprocessing(x)

    @property
    def keras_model(self) -> keras.Model | None:
        """The Keras model; None if `model` is another callable."""
        return self.model if isinstance(self.model, keras.Model) else None

    @functools.cached_property
    def num_classes(self) -> int | None:
        """Number of logits; None if the model has no static output shape."""
        tensor = symbolic_output(self.model, self.output)
        width = None if tensor is None or not tensor.shape else tensor.shape[-1]
        return width if width is None else max(int(width), 2)

    @property
    def trainable_variables(self) -> list[keras.Variable]:
        """The model's trainable variables, without those of outputs that are not chosen."""
        model = self.keras_model
        if model is None:
            return []
        return (self._to_output or model).trainable_variables

    @property
    def note(self) -> str | None:
        """A line that says how the logits are made where they are not the model's output itself."""
        parts, end = [], self._end
        if end is not None:
            parts.append(
                f"ends in a {end.kind} (layer {end.layer.name!r}): its logits, before the "
                f"{end.kind}, are used"
            )
        tensor = symbolic_output(self.model, self.output)
        if tensor is not None and tuple(tensor.shape[1:]) == (1,):
            parts.append("has one logit z: the two logits are [0, z]")
        return f"{self.name}: the model {'; it '.join(parts)}." if parts else None

    @functools.cached_property
    def _to_output(self) -> keras.Model | None:
        """The part of a functional model that leads to the chosen output; None: all of it."""
        tensor = None if self.output is None else symbolic_output(self.model, self.output)
        return None if tensor is None else keras.Model(self.model.inputs, tensor)

    @property
    def _end(self) -> End | None:
        return squashing_end(self.model, self.output)

    @property
    def fingerprint(self) -> str:
        """Hash of layers, current weights, constants, bounds and preprocessing; caches' key.

        Of the preprocessing its name counts, and its attribute `fingerprint` or what it makes of a
        few fixed images; of a subclass without a `fingerprint` of its own its source file and the
        arguments of its constructor, too.

        Raises:
          ConfigError: `model` is neither a Keras model nor has an attribute `fingerprint`; or a
            preprocessing without one is random or takes no images of the model's shape; or an
            argument of a subclass is not kept, or has no value that can be told.
        """
        parts: list[Any]
        if self.keras_model is None:
            own = own_fingerprint(self.model)
            told = "a Keras model, or a function with an attribute `fingerprint`: a text that "
            told += "changes with it, by which results are kept"
            require(own is not None, told, self.model)
            parts = [str(own)]
        else:
            parts = parts_of(self.keras_model)
        if self.bounds != BOX or self.preprocessing is not None:
            named = getattr(self.preprocessing, "__qualname__", repr(self.preprocessing))
            parts.append(repr((self.bounds, named)))
        if self.preprocessing is not None:
            own = own_fingerprint(self.preprocessing)
            shape = getattr(self.model, "input_shape", None)
            parts.append(preprocessed_digest(self.inputs_of, shape) if own is None else str(own))
        if self.output is not None:
            parts.append(f"output {self.output!r}")
        return sha256(*parts, *subclass_parts(self))

    def as_keras(self) -> keras.Model:
        """Returns a Keras model with the same weights that gives logits of images in [-1, 1].

        This is the model itself if it does so: no `bounds`, `preprocessing`, `output` or `note`.

        Raises:
          ConfigError: `model` is not a Keras model, or must be adapted and has no static input
            shape.
        """
        return as_keras_model(self)

    def rejection(self, x: Any) -> tf.Tensor:
        """How far each rule of rejection is broken, float32 [N, rules]; > 0 rejects the image.

        A plain classifier has no rules and accepts every image. A subclass with rules overrides
        this, differentiably, and sets `rejects`. See `mmtf.classifiers.guarded.Guarded`.
        """
        return tf.zeros([tf.shape(x)[0], 0])

    def accepts(self, x: Any) -> tf.Tensor:
        """bool [N]: the images of which no rule is broken; NaN breaks a rule."""
        return tf.reduce_all(self.rejection(x) <= 0.0, -1)

    def draws(self) -> list[tuple[float, Callable[..., tf.Tensor]]]:
        """The deterministic classifiers of which a randomized one takes one at random.

        Returns:
          (probability, function of (images, training=False) that gives logits), whose probabilities
          add up to 1; of a deterministic classifier itself with probability 1.
        """
        return [(1.0, self)]

    def at(self, precision: str | None) -> "Classifier":
        """Returns this classifier in another precision; the same object on every call.

        A subclass stays what it is; one that calls other classifiers overrides this.
        """
        if precision not in self._siblings:
            other = copy.copy(self)
            other.precision, other._compiled = precision, {}
            self._siblings[precision] = other
        return self._siblings[precision]

    @contextlib.contextmanager
    def computing(self) -> Iterator[None]:
        """Context manager: inside it the layers compute in `precision` and with faster kernels.

        A tf.function traced inside keeps both permanently.
        """
        if self.keras_model is None or self.precision is None:
            yield
            return
        with contextlib.ExitStack() as stack:
            stack.enter_context(computing_in(self.keras_model, self.precision))
            stack.enter_context(optimized(self.keras_model, "inference"))
            yield

    def compiled(self, key: Hashable, function: Callable) -> Callable:
        """Compiles `function` as a tf.function of tensors and caches it under `key`.

        Args:
          key: identifies the function; functions with equal keys must compute the same.
          function: called as function(classifier, *tensors).

        Returns:
          A callable of the tensors alone.
        """
        if key not in self._compiled:
            # A partial, because TensorFlow counts traces per line of code: without it, it would
            # mistake several classifiers for one function that is retraced repeatedly, and warn.
            traced = functools.partial(_call, self, function)
            # No AutoGraph: its conversion takes longer than tracing.
            self._compiled[key] = tf.function(traced, autograph=False, reduce_retracing=True)
        return self._compiled[key]


def as_classifier(model: Any) -> Classifier:
    """Returns a Classifier unchanged; wraps another model with the default arguments.

    The Classifier is stored on the model, or on the object of a bound method, so that later calls
    reuse its compiled functions.

    Args:
      model: a Classifier, a Keras model, or a callable(images, training=False) -> logits. The
        softmax or sigmoid at the end of a Keras model is taken off, see `Classifier`.

    Example:
      >>> inputs = keras.Input((2,))
      >>> model = keras.Model(inputs, keras.layers.Dense(3, "softmax", name="classes")(inputs))
      >>> as_classifier(model).note  # doctest: +ELLIPSIS
      "...ends in a softmax (layer 'classes'): its logits, before the softmax, are used."
      >>> as_classifier(model).model is model
      True
    """
    if isinstance(model, Classifier):
        return model
    owner, key = model, KEPT
    if isinstance(model, types.MethodType):  # its attributes are those of all objects' function
        owner, key = model.__self__, f"{KEPT}{model.__func__.__qualname__}"
    attributes = getattr(owner, "__dict__", None)
    if not isinstance(attributes, dict):  # none of its own: a built-in, a class
        return Classifier(model)
    kept = attributes.get(key)
    if kept is not None:
        # Copied attributes, as by `functools.wraps`, hold another's; a bound method is made anew.
        same = kept.model is model if owner is model else kept.model == model
        if same:
            return kept
    attributes[key] = Classifier(model, name=getattr(model, "name", "model"))
    return attributes[key]


def _call(classifier, function, *tensors):
    with classifier.computing():
        return function(classifier, *tensors)
