"""A Keras model's layers in writing, without what differs from one making of it to the next."""

import json

import keras

from mmtf.storage.digest import sha256

# Names are counted up in a process, and stand in the lists of a functional model's edges; the type
# is the precision's, which may change; seeds may be drawn where none is given.
LEFT_OUT = ("name", "dtype", "shared_object_id", "seed") + (
    "inbound_nodes",
    "input_layers",
    "output_layers",
)


def architecture(model: keras.Model) -> str:
    """A fingerprint of the layers, their order and settings; the same for the same model made anew.

    Weights and functions (of a Lambda layer) do not count.

    Example:
      >>> def make(width):
      ...     return keras.Sequential([keras.Input((4,)), keras.layers.Dense(width)])
      >>> architecture(make(3)) == architecture(make(3)) != architecture(make(5))
      True
    """
    return sha256(json.dumps(_layers(model), sort_keys=True))[:16]


def _layers(layer):
    inner = getattr(layer, "layers", None)
    if isinstance(layer, keras.Model) and inner:
        return [type(layer).__name__, [_layers(one) for one in inner]]
    try:
        config = layer.get_config()
    except (NotImplementedError, TypeError, ValueError, AttributeError):  # its class still counts
        config = {}
    return [type(layer).__name__, _simple(config)]


def _simple(value):
    """What JSON has of it; of others None."""
    if isinstance(value, dict):
        kept = {str(key): _simple(one) for key, one in value.items() if key not in LEFT_OUT}
        return {} if value.get("class_name") == "__lambda__" else kept
    if isinstance(value, list | tuple):
        return [_simple(one) for one in value]
    return value if isinstance(value, str | int | float | bool) else None
