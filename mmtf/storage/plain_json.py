"""Converts settings to JSON types. This module does not import TensorFlow."""

import dataclasses
import json
from typing import Any


def plain_json(values: Any) -> Any:
    """Converts `values` to JSON types: NumPy numbers to Python numbers, dataclasses to dicts.

    Tuples become lists, and keys of dicts text. Functions and classes become their qualified names,
    other objects the name of their type.

    Example:
      >>> import numpy as np
      >>> plain_json({"seed": np.int64(3), "bounds": (0, 1), "net": object(), "act": np.linspace})
      {'seed': 3, 'bounds': [0, 1], 'net': 'object', 'act': 'numpy.linspace'}
    """

    def plain(value):
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return dataclasses.asdict(value)
        named = getattr(value, "__qualname__", None)
        if named is not None:
            return f"{value.__module__}.{named}"
        if hasattr(value, "item"):
            return value.item() if value.size == 1 else value.tolist()
        return type(value).__name__

    return json.loads(json.dumps(values, default=plain))
