"""The checks that raise errors, and how errors of other libraries are told."""

import fractions

import numpy as np
import pytest
import tensorflow as tf

from mmtf.errors import (
    ConfigError,
    is_number,
    reason_of,
    require,
    require_bool,
    require_choice,
    require_int,
    require_names,
    require_number,
    require_range,
    require_seed,
    require_text,
)


@pytest.mark.parametrize("value", [1, np.int64(3), np.uint8(2), tf.constant(5), np.array(7)])
def test_whole_numbers_of_every_library_pass(value):
    require_int("steps", value)
    require_seed(value)
    require_number("gamma", value, above=0)


@pytest.mark.parametrize(
    "value", [0.5, np.float32(0.5), fractions.Fraction(1, 2), tf.constant(0.5)]
)
def test_numbers_of_every_library_pass(value):
    require_number("rho", value, above=0, below=1)
    assert is_number(value)


@pytest.mark.parametrize("value", [np.bool_(True), np.array([1]), 1j, b"1", object(), [], "1"])
def test_what_is_no_number_is_told_as_such(value):
    for check in (require_int, require_number, require_seed):
        with pytest.raises(ConfigError, match="number"):
            check("gamma", value) if check is not require_seed else check(value)


@pytest.mark.parametrize(
    "bounds, inside, outside",
    [
        ({"above": 0}, [1e-9, 5], [0, -1]),
        ({"at_least": 0}, [0, 5], [-1e-9]),
        ({"above": 0, "below": 1}, [0.5], [0, 1]),
        ({"at_least": 0, "below": 1}, [0, 0.5], [-1e-9, 1]),
        ({"above": 0, "at_most": 1}, [1, 0.5], [0, 1.1]),
        ({}, [-1e30, 0], []),
    ],
)
def test_bounds(bounds, inside, outside):
    for value in inside:
        require_number("x", value, **bounds)
    for value in (*outside, float("nan"), float("inf"), -float("inf")):
        with pytest.raises(ConfigError, match="Expected .*x.* Received: "):
            require_number("x", value, **bounds)


def test_the_others():
    require_text("name", "a")
    require_names("attacks", ["a", "b"])
    require_range("box", [0, 1])
    require_bool("checks", False)
    for call in (
        lambda: require_text("name", " "),
        lambda: require_names("attacks", ["a", "a"]),
        lambda: require_range("box", (0, float("inf"))),
        lambda: require_bool("checks", 0),
        lambda: require_choice("norm", np.array(["linf"]), ["linf", "l2"]),
    ):
        with pytest.raises(ConfigError):
            call()


def test_what_is_received_is_shown_in_one_line():
    with pytest.raises(ConfigError) as refused:
        require(False, "a number", np.zeros((40, 40)))
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 700


def test_tensorflow_is_told_without_its_internals():
    error = tf.errors.ResourceExhaustedError(
        None,
        None,
        "{{function_node __wrapped__SaveV2_device_/job:localhost}} /disk/ckpt-1_temp/part: "
        "No space left on device [Op:SaveV2] name: \nmore",
    )
    assert reason_of(error) == "/disk/ckpt-1_temp/part: No space left on device"


def test_a_long_reason_is_cut_between_words():
    assert reason_of(ValueError("word " * 100)).endswith("word ...")
    assert len(reason_of(ValueError("x" * 1000))) < 310
