"""Functions that `Classifier` replaced after mmtf 0.1; mmtf._moved keeps them for one release."""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras

from mmtf.classifiers.precision import computing_in
from mmtf.kernels import optimized
from mmtf.kernels.keras_internals import layers_of
from mmtf.runtime.devices import full_float32


@contextlib.contextmanager
def evaluating_in_float32(classifier: Any) -> Iterator[None]:
    """Context manager: inside it a Keras model, wrapped or not, computes in float32."""
    model = model_of(classifier)
    with contextlib.ExitStack() as stack:
        stack.enter_context(full_float32())
        if model is not None:
            stack.enter_context(computing_in(model, "float32"))
            stack.enter_context(optimized(model, "inference"))
        yield


def policies_of(classifier: Any) -> tuple[str, ...]:
    """Names of the layers' dtype policies; empty unless there is a Keras model (`model_of`)."""
    model = model_of(classifier)
    if model is None:
        return ()
    return tuple(layer.dtype_policy.name for layer in layers_of(model, include_self=True))


def model_of(classifier: Any) -> keras.Model | None:
    """The Keras model that a classifier is or wraps as its attribute `classifier`; else None."""
    while classifier is not None and not isinstance(classifier, keras.Model):
        classifier = getattr(classifier, "classifier", None)
    return classifier
