"""In which floating-point type a Keras model computes while it is traced."""

import contextlib

import keras
import tensorflow as tf

from mmtf.nets.thin_gradient import thin_input_gradients


@contextlib.contextmanager
def computing_in(model: keras.Model, dtype: str):
    """While open, `model`'s layers compute in `dtype`; its variables stay float32.

    `bfloat16` leaves the layer that produces the logits in float32. A tf.function traced inside
    keeps the type for good, so one set of weights serves a bfloat16 training step and a float32
    evaluation.

    Args:
      model: a built Keras model with float32 variables.
      dtype: `float32` or `bfloat16`.
    """
    layers = list(model._flatten_layers(include_self=True))
    before = [layer.dtype_policy for layer in layers]
    last = _output_layer(model)
    try:
        for layer in layers:
            low = dtype == "bfloat16" and layer is not last and layer is not model
            layer.dtype_policy = "mixed_bfloat16" if low else "float32"
        yield
    finally:
        for layer, policy in zip(layers, before, strict=True):
            layer.dtype_policy = policy


@contextlib.contextmanager
def evaluating_in_float32(classifier):
    """While open, a Keras model computes in float32; other callables as they do.

    On GPUs that is float32 with all its 24 bits, not TF32 with 11. What is traced inside also gets
    its gradients in the images by the cheaper route. TF32 is a setting of the process: evaluations
    in threads of one process must not overlap.
    """
    tf32 = tf.config.experimental.tensor_float_32_execution_enabled()
    with contextlib.ExitStack() as stack:
        tf.config.experimental.enable_tensor_float_32_execution(False)
        stack.callback(tf.config.experimental.enable_tensor_float_32_execution, tf32)
        if isinstance(classifier, keras.Model):
            stack.enter_context(computing_in(classifier, "float32"))
            stack.enter_context(thin_input_gradients(classifier))
        yield


def policies_of(classifier) -> tuple[str, ...]:
    """The types that a Keras model's layers compute in; nothing for other callables."""
    if not isinstance(classifier, keras.Model):
        return ()
    return tuple(layer.dtype_policy.name for layer in classifier._flatten_layers())


def _output_layer(model):
    history = getattr(model.outputs[0], "_keras_history", None) if _is_functional(model) else None
    return history.operation if history is not None else None


def _is_functional(model):
    return bool(getattr(model, "outputs", None))
