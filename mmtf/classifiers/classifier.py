"""`Classifier`: what attacks, games and evaluations call; made once of a model."""

import contextlib
import functools
import json
from collections.abc import Callable, Hashable, Iterator
from typing import Any

import keras
import tensorflow as tf

from mmtf.classifiers.precision import computing_in
from mmtf.errors import ConfigError, require, require_choice
from mmtf.kernels import optimized
from mmtf.storage.digest import sha256

BOX = (-1.0, 1.0)
# Where a model keeps the Classifier that was made of it. Keras neither tracks nor saves names that
# begin with two underscores.
KEPT = "__mmtf_classifier__"


class Classifier:
    """Images in [-1, 1] -> logits, in a stated precision, with the programs compiled for it.

    Args:
      model: a built Keras model, or any callable(images, training=False), that gives logits
        [N, classes].
      name: in tables and messages.
      bounds: (low, high), the range of the pixels that `model` takes. Images of the box [-1, 1] are
        mapped onto it, so that a radius eta stays one of the box: a model on [0, 1] sees changes of
        eta / 2.
      preprocessing: called on the images within `bounds`, before `model`; differentiable TensorFlow
        operations only.
      precision: `float32` or `bfloat16`, in which the layers of a Keras model compute in calls and
        programs of this classifier, whatever their own policy; None: as the layers are. Functions
        compute as they do.

    Raises:
      ConfigError: no callable, or bounds without low < high.

    Example:
      >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
      >>> classifier = Classifier(model, bounds=(0, 255))
      >>> classifier(tf.zeros([1, 2])).shape, classifier.num_classes
      (TensorShape([1, 3]), 3)
    """

    def __init__(
        self,
        model: Any,
        *,
        name: str = "model",
        bounds: tuple[float, float] = BOX,
        preprocessing: Callable[[tf.Tensor], tf.Tensor] | None = None,
        precision: str | None = "float32",
    ):
        require(callable(model), "a Keras model or a function from images to logits", model)
        require(
            len(bounds) == 2 and bounds[0] < bounds[1], "bounds (low, high), low < high", bounds
        )
        if precision is not None:
            require_choice("precision", precision, ("float32", "bfloat16"))
        self.model = model
        self.name = name
        self.bounds = (float(bounds[0]), float(bounds[1]))
        self.preprocessing = preprocessing
        self.precision = precision
        self._compiled: dict[Hashable, Callable] = {}
        self._siblings: dict[str | None, Classifier] = {precision: self}

    def __call__(self, x: Any, training: bool = False) -> tf.Tensor:
        """Logits [N, classes] of images [N, H, W, C] in [-1, 1]."""
        with self.computing():
            return self.model(self.inputs_of(x), training=training)

    def __repr__(self) -> str:
        return f"Classifier({self.name!r}, bounds={self.bounds}, precision={self.precision!r})"

    def inputs_of(self, x: Any) -> Any:
        """What the model is given for images `x` of the box."""
        if self.bounds != BOX:
            low, high = self.bounds
            x = low + (x + 1.0) * ((high - low) / 2.0)
        return x if self.preprocessing is None else self.preprocessing(x)

    @property
    def keras_model(self) -> keras.Model | None:
        """The Keras model, None where `model` is another callable."""
        return self.model if isinstance(self.model, keras.Model) else None

    @functools.cached_property
    def num_classes(self) -> int | None:
        """Number of logits, None where a model without a static output shape does not tell."""
        outputs = getattr(self.keras_model, "outputs", None)
        return int(outputs[0].shape[-1]) if outputs else None

    @property
    def fingerprint(self) -> str:
        """Hash of what is computed: layers, weights, bounds and preprocessing; of today's weights.

        Raises:
          ConfigError: a callable that is neither a Keras model nor has a `fingerprint` of its own.
        """
        if self.keras_model is None:
            own = getattr(self.model, "fingerprint", None)
            require(own is not None, "a Keras model, or a callable with a fingerprint", self.model)
            parts = [str(own)]
        else:
            parts = [_architecture(self.keras_model), *self.keras_model.get_weights()]
        if self.bounds != BOX or self.preprocessing is not None:
            named = getattr(self.preprocessing, "__qualname__", repr(self.preprocessing))
            parts.append(repr((self.bounds, named)))
        return sha256(*parts)

    def as_keras(self) -> keras.Model:
        """A Keras model of the same weights that takes images of the box, for training against it.

        The model itself where it takes them as they are.

        Raises:
          ConfigError: the classifier is no Keras model, or one without a static input shape.
        """
        model = self.keras_model
        if model is None:
            raise ConfigError(f"Expected a Keras model. Received: {self.model!r}.")
        if self.bounds == BOX and self.preprocessing is None:
            return model
        shape = getattr(model, "input_shape", None)
        if not isinstance(shape, tuple):
            raise ConfigError(f"Expected a model of one known input shape. Received: {shape}.")
        inputs = keras.Input(shape[1:])
        adapted = keras.layers.Lambda(self.inputs_of, output_shape=shape[1:])(inputs)
        return keras.Model(inputs, model(adapted), name=f"{model.name}_of_the_box")

    def at(self, precision: str | None) -> "Classifier":
        """The same classifier computing in another precision; one and the same object each time."""
        if precision not in self._siblings:
            other = Classifier(
                self.model,
                name=self.name,
                bounds=self.bounds,
                preprocessing=self.preprocessing,
                precision=precision,
            )
            other._siblings = self._siblings
            self._siblings[precision] = other
        return self._siblings[precision]

    @contextlib.contextmanager
    def computing(self) -> Iterator[None]:
        """Context manager: inside it the layers compute in `precision`, with the faster kernels.

        What a tf.function traces inside keeps both for good.
        """
        if self.keras_model is None or self.precision is None:
            yield
            return
        with contextlib.ExitStack() as stack:
            stack.enter_context(computing_in(self.keras_model, self.precision))
            stack.enter_context(optimized(self.keras_model, "inference"))
            yield

    def compiled(self, key: Hashable, function: Callable) -> Callable:
        """`function` as a tf.function of tensors, traced once for `key` and kept.

        Args:
          key: tells apart the functions kept for one classifier; equal keys stand for functions
            that compute the same.
          function: called as function(classifier, *tensors).
        """
        if key not in self._compiled:
            # A partial: TensorFlow counts the traces of all functions of one line of code together,
            # and would warn of a few classifiers as of one function traced again and again.
            traced = functools.partial(_call, self, function)
            # AutoGraph's translation takes longer than tracing.
            self._compiled[key] = tf.function(traced, autograph=False, reduce_retracing=True)
        return self._compiled[key]


def as_classifier(model: Any) -> Classifier:
    """`model` itself if it is a Classifier, else the one made of it with default arguments.

    It is kept with the model, so that what was compiled for it is found again.
    """
    if isinstance(model, Classifier):
        return model
    try:
        kept = vars(model)
    except TypeError:  # no attributes of its own: a bound method, a built-in
        return Classifier(model)
    if KEPT not in kept:
        kept[KEPT] = Classifier(model, name=getattr(model, "name", "model"))
    return kept[KEPT]


def _call(classifier, function, *tensors):
    with classifier.computing():
        return function(classifier, *tensors)


def _architecture(model):
    try:
        return json.dumps(model.get_config(), sort_keys=True, default=repr)
    except NotImplementedError:  # a subclassed model without get_config
        return f"{type(model).__module__}.{type(model).__qualname__}"
