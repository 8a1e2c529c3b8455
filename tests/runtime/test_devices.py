"""full_float32: what it sets and restores. The other functions are tested where they are used."""

import pytest
import tensorflow as tf

from mmtf.runtime.devices import full_float32


def tf32() -> bool:
    return tf.config.experimental.tensor_float_32_execution_enabled()


@pytest.fixture(params=[False, True])
def before(request):
    was = tf32()
    tf.config.experimental.enable_tensor_float_32_execution(request.param)
    yield request.param
    tf.config.experimental.enable_tensor_float_32_execution(was)


def test_tf32_is_off_inside_and_as_before_after_it(before):
    with full_float32():
        assert not tf32()
        with full_float32():
            assert not tf32()
        assert not tf32()
    assert tf32() is before


def test_an_error_restores_it(before):
    with pytest.raises(KeyError), full_float32():
        raise KeyError
    assert tf32() is before
