"""Takes the softmax or sigmoid off the end of a Keras model, so that it gives logits.

The model keeps its layers and weights: its last activation is replaced by the identity while it is
called, so that training and attacks act on the model itself, and outside it is as it was.
"""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from mmtf.classifiers.outputs import Output, symbolic_output
from mmtf.kernels.keras_internals import input_tensors_of, place_of, producer_of, uses_of
from mmtf.kernels.patching import patched

ACTIVATIONS = {
    "softmax": (keras.activations.softmax, keras.ops.softmax, tf.nn.softmax),
    "sigmoid": (keras.activations.sigmoid, keras.ops.sigmoid, tf.nn.sigmoid),
}
# Layers that apply their activation last.
ACTIVATED = (
    keras.layers.Activation,
    keras.layers.Dense,
    keras.layers.EinsumDense,
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
)

# Layer's id -> (how many contexts are open, what restores the layer).
_ENTERED: dict[int, tuple[int, contextlib.ExitStack]] = {}
_LOCK = threading.Lock()


class End(NamedTuple):
    """The squashing activation at the end of a model.

    Attributes:
      kind: `softmax` or `sigmoid`.
      layer: the layer or operation that applies it.
      attribute: which of its attributes: `activation`, or `call` if it does nothing else.
    """

    kind: str
    layer: Any
    attribute: str


def squashing_end(model: Any, output: Output = None) -> End | None:
    """The softmax or sigmoid that ends a model and can be taken off exactly; None if there is none.

    It can where the model is functional or Sequential, nested or not, and ends in a softmax over
    at least two classes or a sigmoid of one unit, given as `activation` of a Dense, convolution or
    Activation layer, as a Softmax layer or by keras.ops. Then softmax(logits), or sigmoid of the
    one logit, is what the model gave. A layer that the model calls more than once is left alone.

    Args:
      model: a built Keras model; others have no such end.
      output: which of several outputs, see `mmtf.classifiers.outputs.choose`.

    Example:
      >>> inputs = keras.Input((2,))
      >>> model = keras.Model(inputs, keras.layers.Dense(3, "softmax")(inputs))
      >>> squashing_end(model).kind
      'softmax'
    """
    tensor = symbolic_output(model, output)
    if tensor is None or len(tensor.shape) != 2:
        return None
    width = tensor.shape[-1]
    while (layer := producer_of(tensor)) is not None and uses_of(model, layer) == 1:
        if isinstance(layer, keras.Model):
            inner = getattr(layer, "outputs", None)
            if not inner:
                return None
            tensor = inner[place_of(tensor)]
            continue
        if not _changes_nothing(layer):
            return _end_of(layer, width)
        (tensor,) = input_tensors_of(tensor)
    return None


@contextlib.contextmanager
def taken_off(end: End | None) -> Iterator[None]:
    """Context manager: inside it, the identity is in place of a model's last activation.

    It may be entered again inside, and by threads that overlap, as those of several replicas do:
    the activation returns when the last one leaves.
    """
    if end is None:
        yield
        return
    with _LOCK:
        users, stack = _ENTERED.pop(id(end.layer), (0, None))
        if stack is None:
            stack = contextlib.ExitStack()
            stack.enter_context(patched([(end.layer, end.attribute, _identity)]))
        _ENTERED[id(end.layer)] = users + 1, stack
    try:
        yield
    finally:
        with _LOCK:
            users, stack = _ENTERED.pop(id(end.layer))
            if users > 1:
                _ENTERED[id(end.layer)] = users - 1, stack
            else:
                stack.close()


def _identity(inputs, *arguments, **options):
    return inputs


def _changes_nothing(layer) -> bool:
    """Whether a layer behind the activation passes its input on, as one that only sets a type."""
    if type(layer) is keras.layers.Activation:
        return layer.activation is keras.activations.linear
    return type(layer) is keras.layers.Identity


def _end_of(layer, width) -> End | None:
    axis = getattr(layer, "axis", None)
    if type(layer) is keras.layers.Softmax:
        found = End("softmax", layer, "call") if axis in (-1, 1, (-1,), (1,), [-1], [1]) else None
    elif isinstance(layer, keras.layers.Layer):
        found = _activation_of(layer)
    else:
        kind = type(layer).__name__.lower()  # an operation, as of keras.ops.softmax
        known = type(layer).__module__.startswith("keras.") and kind in ACTIVATIONS
        found = End(kind, layer, "call") if known and axis in (None, -1, 1) else None
    # The softmax of one unit is always 1; sigmoids of several are no distribution over classes.
    return found if found and (found.kind == "softmax") == (width != 1) else None


def _activation_of(layer) -> End | None:
    own = any(isinstance(layer, kind) and type(layer).call is kind.call for kind in ACTIVATED)
    for kind, functions in ACTIVATIONS.items():
        if own and any(layer.activation is one for one in functions):
            return End(kind, layer, "activation")
    return None
