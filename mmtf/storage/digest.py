"""Fingerprints of what is kept, compared and found again. No TensorFlow here."""

import hashlib

import numpy as np


def sha256(*parts: str | bytes | np.ndarray) -> str:
    """SHA-256 of the parts one after the other, in hexadecimal digits; of an array its values.

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
