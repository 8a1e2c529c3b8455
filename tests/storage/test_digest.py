"""Fingerprints: the hash of the bytes in a row."""

import hashlib

import numpy as np

from mmtf.storage.digest import sha256


def test_the_digest_is_that_of_the_bytes_in_a_row():
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    expected = hashlib.sha256(b"a\xc3\xa9" + values.tobytes()).hexdigest()
    assert sha256("a", "é".encode(), values) == expected
    # The order in memory is not part of it.
    assert sha256(np.asfortranarray(values)) == sha256(values)
