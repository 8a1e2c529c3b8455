"""Encodes boolean and uint8 arrays as short text for JSON records."""

import base64
import zlib

import numpy as np


def pack(values: np.ndarray) -> str:
    """Compresses an array with zlib and encodes it in base64.

    Args:
      values: bool [N], stored as bits, or uint8 of any shape. The text does not contain the shape.

    Example:
      >>> unpack_bits(pack(np.array([True, False, True])), 3).tolist()
      [True, False, True]
    """
    values = np.asarray(values)
    data = np.packbits(values) if values.dtype == bool else values
    return base64.b64encode(zlib.compress(data.tobytes(), 9)).decode()


def unpack(text: str) -> np.ndarray:
    """The values of a uint8 array, flattened, from the text that `pack` made of it.

    Example:
      >>> unpack(pack(np.array([1, 2], np.uint8))).tolist()
      [1, 2]
    """
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8)


def unpack_bits(text: str, n: int) -> np.ndarray:
    """The array bool [n] from the text that `pack` made of it."""
    return np.unpackbits(unpack(text), count=n).astype(bool)
