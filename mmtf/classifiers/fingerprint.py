"""What identifies a Keras model: its architecture, and the values that its outputs depend on."""

import json
from typing import Any

import keras
import numpy as np

from mmtf.classifiers.state import constants_of, variables_of
from mmtf.storage.digest import sha256

# Entries of a layer's config that may differ between two builds of the same model. Keras numbers
# names within a process, and the lists of a functional model's edges contain names; the dtype
# depends on the precision; Keras draws seeds that are not given.
LEFT_OUT = ("name", "dtype", "shared_object_id", "seed") + (
    "inbound_nodes",
    "input_layers",
    "output_layers",
)


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
