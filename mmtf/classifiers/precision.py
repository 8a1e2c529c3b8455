"""In which floating-point type a Keras model computes while it is traced."""

import contextlib

import keras

from mmtf.kernels import optimized
from mmtf.kernels.keras_internals import input_tensors_of, layers_of, producer_of
from mmtf.runtime.devices import full_float32


@contextlib.contextmanager
def computing_in(model: keras.Model, dtype: str):
    """While open, `model`'s layers compute in `dtype`; its variables stay float32.

    `bfloat16` leaves the last layer with weights and what comes after it in float32, so that the
    logits are; of a subclassed model, whose last layer is not known, nothing. A tf.function traced
    inside keeps the type for good, so one set of weights serves a bfloat16 training step and a
    float32 evaluation.

    Args:
      model: a built Keras model with float32 variables. Quantized layers compute as they are, for
        without its policy such a layer takes its integers for weights.
      dtype: `float32` or `bfloat16`.
    """
    layers = [
        layer
        for layer in layers_of(model, include_self=True)
        if getattr(layer, "quantization_mode", None) is None
    ]
    before = [layer.dtype_policy for layer in layers]
    last = _last_layers(model)
    try:
        for layer in layers:
            low = dtype == "bfloat16" and layer not in last and layer is not model
            layer.dtype_policy = "mixed_bfloat16" if low else "float32"
        yield
    finally:
        for layer, policy in zip(layers, before, strict=True):
            layer.dtype_policy = policy


@contextlib.contextmanager
def evaluating_in_float32(classifier):
    """While open, a Keras model, or that of a wrapper around one, computes in float32.

    A wrapper has it as its attribute `classifier`. Other callables compute as they do.

    On GPUs that is float32 with all its 24 bits, not TF32 with 11. What is traced inside also gets
    its gradients in the images by the cheaper route. TF32 is a setting of the process: evaluations
    in threads of one process must not overlap.
    """
    model = model_of(classifier)
    with contextlib.ExitStack() as stack:
        stack.enter_context(full_float32())
        if model is not None:
            stack.enter_context(computing_in(model, "float32"))
            stack.enter_context(optimized(model, "inference"))
        yield


def policies_of(classifier) -> tuple[str, ...]:
    """The types that a Keras model's layers, or a wrapped one's, compute in; else nothing."""
    model = model_of(classifier)
    if model is None:
        return ()
    return tuple(layer.dtype_policy.name for layer in layers_of(model, include_self=True))


def model_of(classifier) -> keras.Model | None:
    """The Keras model that a classifier is, or that it has as its attribute `classifier`."""
    while classifier is not None and not isinstance(classifier, keras.Model):
        classifier = getattr(classifier, "classifier", None)
    return classifier


def _last_layers(model) -> list:
    """From the output back to the first layer with weights, into models that are layers."""
    found, tensor = [], model.outputs[0] if _is_functional(model) else None
    while (layer := producer_of(tensor)) is not None:
        if isinstance(layer, keras.Model):
            return found + _last_layers(layer)
        found.append(layer)
        if isinstance(layer, keras.layers.Layer):  # its own layers, too; an operation has none
            found += layers_of(layer)
        inputs = input_tensors_of(tensor)
        if getattr(layer, "weights", None) or len(inputs) != 1:
            break
        tensor = inputs[0]
    return found


def _is_functional(model):
    return bool(getattr(model, "outputs", None))
