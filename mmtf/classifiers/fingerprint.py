"""What identifies a classifier: its architecture, and the values that its outputs depend on."""

import inspect
import json
import types
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mmtf.arguments import kept_arguments
from mmtf.classifiers.state import constants_of, variables_of
from mmtf.errors import ConfigError, require
from mmtf.registry import source_of
from mmtf.storage.digest import sha256

# Entries of a layer's config that may differ between two builds of the same model. Keras numbers
# names within a process, and the lists of a functional model's edges contain names; the dtype
# depends on the precision; Keras draws seeds that are not given.
LEFT_OUT = ("name", "dtype", "shared_object_id", "seed") + (
    "inbound_nodes",
    "input_layers",
    "output_layers",
)
# Images by which preprocessing functions are told apart, and their size where it is not known.
PROBES, UNKNOWN_SIZE = 2, 8


def architecture(model: keras.Model) -> str:
    """Hashes the types, order and settings of a model's layers.

    Weights and the functions of Lambda layers are ignored.

    Returns:
      16 hexadecimal digits.

    Example:
      >>> def make(width):
      ...     return keras.Sequential([keras.Input((4,)), keras.layers.Dense(width)])
      >>> architecture(make(3)) == architecture(make(3)) != architecture(make(5))
      True
    """
    return sha256(json.dumps(_layers(model), sort_keys=True))[:16]


def parts_of(model: keras.Model) -> list[Any]:
    """Layers, current weights, and the constants and variables beside them, for `sha256`."""
    beside = {**constants_of(model), **variables_of(model)}
    named = [part for name in sorted(beside) for part in (name, np.asarray(beside[name]))]
    return [_config(model), *model.get_weights(), *named]


def own_fingerprint(function: Any) -> Any:
    """The attribute `fingerprint` of a function; None if it has none of its own.

    `functools.wraps` copies that of the function within it, which tells nothing of the new one. A
    bound method has that of its object: its function's is the same for all objects.
    """
    if isinstance(function, types.MethodType):
        return getattr(function.__self__, "fingerprint", None)
    own = getattr(function, "fingerprint", None)
    inner = getattr(function, "__wrapped__", None)
    return None if inner is not None and own == getattr(inner, "fingerprint", None) else own


def preprocessed_digest(inputs_of: Callable[[tf.Tensor], Any], input_shape: Any) -> str:
    """Hash of what a classifier makes of a few fixed images before it calls its model.

    Args:
      inputs_of: `Classifier.inputs_of`.
      input_shape: of the model, (None, H, W, C); sizes that are unknown count as 8. The images have
        as many channels, or 1 or 3 if the function does not take these.

    Raises:
      ConfigError: the function takes none of these images, or two calls differ.
    """
    given = tuple(input_shape[1:]) if isinstance(input_shape, tuple) else (None, None, 3)
    *sizes, channels = [UNKNOWN_SIZE if size is None else size for size in given or (None,)]
    found: list[list[str]] = []
    for last in dict.fromkeys([channels, 1, 3]):
        shape = (PROBES, *sizes, last)
        pixels = np.arange(np.prod(shape)) * 7919 % 1021  # 0 to 1020, in no order
        images = tf.constant(np.float32(pixels / 510 - 1).reshape(shape))
        try:
            found = [_told(inputs_of(images)) for _ in range(2)]
            break
        except Exception as error:  # whatever an operation says of a shape
            refused = error
    beside = "or with an attribute `fingerprint`, a text that changes with it"
    if not found:
        raise ConfigError(
            f"Expected a preprocessing of images of the shape {(*sizes, channels)}, {beside}. "
            f"Received: {refused}."
        ) from refused
    same = found[0] == found[1]
    require(same, f"a preprocessing that is not random, {beside}", "two different outputs")
    return sha256(*found[0])


def subclass_parts(classifier: Any) -> list[str]:
    """What a user's subclass computes by, for `sha256`; [] for mmtf's own classes.

    Args:
      classifier: a Classifier. Classes that define `fingerprint`, and the arguments of the first
        of mmtf's own classes, which its `fingerprint` covers, are left out.

    Raises:
      ConfigError: an argument is not kept (`kept_arguments`) or does not tell its value.
    """
    kinds = type(classifier).__mro__
    last = next(place for place, one in enumerate(kinds) if "fingerprint" in vars(one))
    mine = next(place for place, one in enumerate(kinds) if _is_mmtfs(one))
    if last < mine or not mine:
        return []
    theirs = [one for one in kinds[:-1] if not _is_mmtfs(one)]
    parts = [part for one in theirs for part in (one.__qualname__, source_of(one))]
    covered = inspect.signature(kinds[mine]).parameters
    for name, value in kept_arguments(classifier, covered).items():
        parts += [name, *_told(value, f"the argument {name} of {kinds[0].__name__}")]
    return parts


def _is_mmtfs(kind) -> bool:
    return kind.__module__.partition(".")[0] == "mmtf"


def _told(value, name="values") -> list[str]:
    """Texts and arrays that tell a value, for `sha256`."""
    if isinstance(value, dict):
        return ["dict", *(part for one in value.items() for part in _told(list(one), name))]
    if isinstance(value, list | tuple):
        return [f"{len(value)} of", *(part for one in value for part in _told(one, name))]
    if isinstance(value, keras.Layer):
        return [sha256(*parts_of(value))]
    if isinstance(value, np.ndarray | tf.Tensor | tf.Variable | keras.Variable):
        array = np.asarray(value)
        return [f"{array.dtype} {array.shape}", sha256(array)]
    own = own_fingerprint(value)
    text = repr(value) if own is None else str(own)
    told = f"{name} as numbers, texts, arrays or models, or with an attribute `fingerprint`"
    require(" at 0x" not in text, told, value)
    return [text, ";"]


def _layers(layer):
    inner = getattr(layer, "layers", None)
    if isinstance(layer, keras.Model) and inner:
        return [type(layer).__name__, [_layers(one) for one in inner]]
    try:
        config = layer.get_config()
    except (NotImplementedError, TypeError, ValueError, AttributeError):  # hash only its type
        config = {}
    return [type(layer).__name__, _simple(config)]


def _simple(value):
    """Reduces a config to plain JSON data; other values become None."""
    if isinstance(value, dict):
        kept = {str(key): _simple(one) for key, one in value.items() if key not in LEFT_OUT}
        return {} if value.get("class_name") == "__lambda__" else kept
    if isinstance(value, list | tuple):
        return [_simple(one) for one in value]
    return value if isinstance(value, str | int | float | bool) else None


def _config(model):
    try:
        return json.dumps(model.get_config(), sort_keys=True, default=repr)
    except NotImplementedError:  # a subclassed model without get_config
        return f"{type(model).__module__}.{type(model).__qualname__}"
