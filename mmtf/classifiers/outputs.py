"""The logits among what a model returns: one of several outputs, or one logit of two classes."""

from typing import Any

import keras
import tensorflow as tf

from mmtf.errors import ConfigError
from mmtf.kernels.keras_internals import output_structure_of

Output = str | int | None


def choose(outputs: Any, output: Output = None, model: Any = None) -> Any:
    """Returns one output of a model.

    Args:
      outputs: what the model returned: a tensor, or a list, tuple or dict of tensors; or the
        symbolic tensors of a functional model.
      output: the key of a dict; the index, from 0, or for a functional model the name of the
        output's layer, of a list or tuple. None: the only output.
      model: the model, for the names of its outputs.

    Raises:
      ConfigError: several outputs and none is chosen, or there is no such output.

    Example:
      >>> choose({"logits": tf.zeros([2, 3]), "age": tf.ones([2, 1])}, "logits").shape
      TensorShape([2, 3])
      >>> choose([tf.zeros([2, 3]), tf.zeros([2, 5])])
      Traceback (most recent call last):
      mmtf.errors.ConfigError: Expected a model of one output, or a choice. Received: 2 outputs, \
0 (3), 1 (5). Choose one: mmtf.Classifier(model, output=0), or mmtf.evaluate --model_output=0.
    """
    named = _by_name(outputs, model)
    if output is None and len(named) == 1:
        return next(iter(named.values()))
    if output is not None:
        if isinstance(output, str) and output not in named and output.isdigit():
            output = int(output)  # from a command line
        if isinstance(output, str) and output in named:
            return named[output]
        places = list(named.values())
        if isinstance(output, int) and not isinstance(output, bool) and 0 <= output < len(places):
            return places[output]
        raise ConfigError(
            f"Expected output to be one of {', '.join(map(repr, named))}, or an index from 0 to "
            f"{len(named) - 1}. Received: {output!r}."
        )
    listed = ", ".join(f"{name!r} ({_width(one)})" for name, one in named.items())
    first = next(iter(named), 0)
    raise ConfigError(
        f"Expected a model of one output, or a choice. Received: {len(named)} outputs, {listed}. "
        f"Choose one: mmtf.Classifier(model, output={first!r}), or mmtf.evaluate "
        f"--model_output={first}."
    )


def symbolic_output(model: Any, output: Output = None) -> Any:
    """The symbolic tensor of a functional model's output; None for other models or no choice."""
    structure = output_structure_of(model) if isinstance(model, keras.Model) else None
    if structure is None:
        return None
    try:
        return choose(structure, output, model)
    except ConfigError:
        return None


def two_logits(logits: tf.Tensor) -> tf.Tensor:
    """[0, z] for the one logit z of a binary classifier; other logits as they are.

    softmax([0, z]) = [1 - sigmoid(z), sigmoid(z)], so the cross-entropy of the two is the binary
    cross-entropy of the one.

    Example:
      >>> two_logits(tf.constant([[3.0], [-1.0]])).numpy().tolist()
      [[0.0, 3.0], [0.0, -1.0]]
    """
    if logits.shape.rank != 2 or logits.shape[-1] != 1:
        return logits
    return tf.concat([tf.zeros_like(logits), logits], -1)


def _by_name(outputs, model) -> dict:
    """Name, key or index of each output -> the output."""
    if isinstance(outputs, dict):
        return dict(outputs)
    if not isinstance(outputs, list | tuple):
        return {_names(model, 1)[0]: outputs}
    return dict(zip(_names(model, len(outputs)), outputs, strict=True))


def _names(model, count) -> list:
    names = list(getattr(model, "output_names", None) or [])
    return names if len(set(names)) == len(names) == count else list(range(count))


def _width(one) -> str:
    shape = getattr(one, "shape", None)
    if shape is None:
        return type(one).__name__
    return " x ".join(str(size) for size in tuple(shape)[1:]) or "one number"
