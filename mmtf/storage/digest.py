"""SHA-256 of text, bytes and arrays. This module does not import TensorFlow."""

import hashlib

import numpy as np


def sha256(*parts: str | bytes | np.ndarray) -> str:
    """SHA-256 of the concatenated parts, in hexadecimal.

    Args:
      *parts: text (in UTF-8), bytes, or arrays. Of an array only the values count, in C order, not
        the shape or the type.

    Example:
      >>> sha256("ab") == sha256("a", b"b")
      True
    """
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            part = np.ascontiguousarray(part).tobytes()
        digest.update(part.encode() if isinstance(part, str) else part)
    return digest.hexdigest()
