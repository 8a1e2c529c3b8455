"""How many images are attacked together."""

import pytest

from mmtf.errors import ConfigError
from mmtf.evaluation.batching import HELD, LARGEST, VALUES_KEPT, default_batch_size, examples_held

GIB = 2**30


@pytest.mark.parametrize("shape", [(28, 28, 1), (32, 32, 3), (2, 2, 1)])
def test_small_images_by_500_whatever_the_memory(shape):
    """Random starts go by batch: these figures are the same on every machine."""
    assert default_batch_size(shape) == default_batch_size(shape, memory=1) == LARGEST == 500
    assert default_batch_size(shape, calls=100, memory=1) == 500


@pytest.mark.parametrize("shape", [(224, 224, 3), (64, 64, 3), (512, 512, 3)])
def test_activations_of_large_images_fit_into_a_quarter(shape):
    size = shape[0] * shape[1] * shape[2]
    for memory in (GIB, 8 * GIB, 80 * GIB):
        batch = default_batch_size(shape, memory=memory)
        needed = 4 * VALUES_KEPT * size
        assert batch == 1 or batch * needed <= memory / 4
        assert batch >= 500 or 2 * batch * needed > memory / 4
    assert default_batch_size(shape, memory=2**50) == 500
    assert default_batch_size(shape, memory=1) == 1
    half = default_batch_size((224, 224, 3), memory=16 * GIB, calls=2)
    assert 2 * half == default_batch_size((224, 224, 3), memory=16 * GIB)


def test_no_calls_are_refused():
    with pytest.raises(ConfigError, match="calls > 0"):
        default_batch_size((2, 2, 1), calls=0)


def test_images_of_a_check_are_held_within_a_gibibyte():
    assert examples_held(500, (32, 32, 3)) == examples_held(500, (224, 224, 3)) == 500
    held = examples_held(500, (1000, 1000, 3))
    assert held * 3_000_000 <= HELD < (held + 1) * 3_000_000 and 4 * HELD == GIB
    assert examples_held(500, (20_000, 20_000, 3)) == 1
