"""Which of many examples are wrong, and images, as short text for JSON."""

import base64
import zlib

import numpy as np


def pack(values: np.ndarray) -> str:
    """bool [N], or uint8 of any shape, as text for a record.

    Example:
      >>> unpack_bits(pack(np.array([True, False, True])), 3).tolist()
      [True, False, True]
    """
    values = np.asarray(values)
    data = np.packbits(values) if values.dtype == bool else values
    return base64.b64encode(zlib.compress(data.tobytes(), 9)).decode()


def unpack(text: str) -> np.ndarray:
    """uint8 [n] of what `pack` made of uint8.

    Example:
      >>> unpack(pack(np.array([1, 2], np.uint8))).tolist()
      [1, 2]
    """
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8)


def unpack_bits(text: str, n: int) -> np.ndarray:
    """bool [n] of what `pack` made of it."""
    return np.unpackbits(unpack(text), count=n).astype(bool)
