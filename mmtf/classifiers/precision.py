"""Sets the floating-point type in which a Keras model computes."""

import contextlib
from collections.abc import Iterator

import keras

from mmtf.kernels.keras_internals import casting_variables, input_tensors_of, layers_of, producer_of


@contextlib.contextmanager
def computing_in(model: keras.Model, dtype: str) -> Iterator[None]:
    """Context manager: inside it `model`'s layers compute in `dtype`; variables stay float32.

    Variables of another floating-point type (a float64 or float16 model's) are cast in every call.
    With `bfloat16`, the last layer with weights and all layers after it stay in float32, so that
    the logits are float32; in a subclassed model, whose last layer is unknown, no layer stays in
    float32. A tf.function traced inside keeps the type permanently, so one set of weights serves a
    bfloat16 training step and a float32 evaluation.

    Args:
      model: a built Keras model. Quantized layers keep their policies;
        with another policy they would use their integers as unquantized weights.
      dtype: `float32` or `bfloat16`.
    """
    layers = [
        layer
        for layer in layers_of(model, include_self=True)
        if getattr(layer, "quantization_mode", None) is None
    ]
    before = [layer.dtype_policy for layer in layers]
    last = _last_layers(model)
    others = {one.dtype for one in model.variables} & {"float64", "float16", "bfloat16"}
    casting = casting_variables(dtype) if others else contextlib.nullcontext()
    try:
        for layer in layers:
            low = dtype == "bfloat16" and layer not in last and layer is not model
            layer.dtype_policy = "mixed_bfloat16" if low else "float32"
        with casting:
            yield
    finally:
        for layer, policy in zip(layers, before, strict=True):
            layer.dtype_policy = policy


def _last_layers(model) -> list:
    """Layers from the output back to the last one with weights, inside nested models, too."""
    found: list[keras.layers.Layer] = []
    tensor = model.outputs[0] if _is_functional(model) else None
    while (layer := producer_of(tensor)) is not None:
        if isinstance(layer, keras.Model):
            return found + _last_layers(layer)
        found.append(layer)
        if isinstance(layer, keras.layers.Layer):  # with sublayers; an operation has none
            found += layers_of(layer)
        inputs = input_tensors_of(tensor)
        if getattr(layer, "weights", None) or len(inputs) != 1:
            break
        tensor = inputs[0]
    return found


def _is_functional(model):
    return bool(getattr(model, "outputs", None))
