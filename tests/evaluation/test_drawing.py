"""Examples drawn at random."""

import numpy as np
import pytest

import mmtf
from mmtf.errors import ConfigError
from mmtf.evaluation.drawing import drawn_numbers, with_drawn_test


def test_draws_are_ascending_nested_and_of_the_seed():
    draws = [drawn_numbers(200, count, 3) for count in (10, 50, 0)]
    for few, many in zip(draws, draws[1:], strict=False):
        assert set(few) < set(many) and (np.diff(few) > 0).all()
    assert len(draws[0]) == 10 and (draws[2] == np.arange(200)).all()
    assert set(draws[0]) != set(drawn_numbers(200, 10, 4))
    with pytest.raises(ConfigError, match="count"):
        drawn_numbers(200, -1)


def test_the_drawn_test_split_is_said_in_the_note():
    data = mmtf.load_data("digits")
    some = with_drawn_test(data, 30, 1)
    rows = drawn_numbers(len(data.test_labels), 30, 1)
    np.testing.assert_array_equal(some.test_images, data.test_images[rows])
    np.testing.assert_array_equal(some.test_labels, data.test_labels[rows])
    assert "30 of" in some.note and "at random by seed 1" in some.note
    assert with_drawn_test(data, 0) is data
