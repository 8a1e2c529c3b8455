"""What is packed is unpacked."""

import numpy as np
import pytest

from mmtf.stats.packed_bits import pack, unpack, unpack_bits


@pytest.mark.parametrize("n", [1, 8, 1001])
def test_what_is_packed_is_unpacked(n, rng):
    wrong = rng.random(n) < 0.3
    np.testing.assert_array_equal(unpack_bits(pack(wrong), n), wrong)
    images = rng.integers(0, 256, n).astype(np.uint8)
    np.testing.assert_array_equal(unpack(pack(images)), images)


def test_a_mask_of_few_errors_is_small():
    wrong = np.zeros(10_000, bool)
    wrong[::150] = True
    assert len(pack(wrong)) < 400
