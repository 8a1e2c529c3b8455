"""The comparison with auto_LiRPA: what is handed over, and what is recorded."""

import keras
import numpy as np
import pytest

from benchmarks.auto_lirpa import layers_of, row_of
from mmtf.errors import ConfigError

L = keras.layers


def test_layers_tell_how_to_build_the_net_again():
    convolution = L.Conv2D(2, 4, strides=2, padding="same", activation="relu")
    dense = [L.Flatten(), L.Dense(5, activation="relu"), L.Dense(3)]
    model = keras.Sequential([keras.Input((7, 8, 1)), convolution, *dense])
    assert layers_of(model) == [
        # 7 -> 4 outputs need 10 rows: 1 above, 2 below; 8 -> 4 outputs need 10 columns.
        {"kind": "conv", "stride": [2, 2], "padding": [1, 2, 1, 1]},
        {"kind": "dense", "channels": [4, 4, 2]},
        {"kind": "dense", "channels": None},
    ]
    for layer, message in (
        (L.Dense(3, activation="tanh"), "ReLUs between layers"),
        (L.BatchNormalization(), "Conv2D, Flatten and Dense layers"),
    ):
        with pytest.raises(ConfigError, match=message):
            layers_of(keras.Sequential([keras.Input((4,)), layer, L.Dense(2)]))


def test_a_row_has_medians_without_the_first_round_and_differences():
    times = [{"seconds": one, "cpu_seconds": 2 * one} for one in (9.0, 1.0, 3.0)]
    own, other = np.array([[1.0, 2.0], [-1.0, 3.0]]), np.array([[0.5, -2.0], [-1.0, 3.0]])
    row = row_of("crown", own, other, {"mmtf": times, "auto_LiRPA": times})
    assert row["mmtf"] == {"seconds": 2.0, "cpu_seconds": 4.0, "certified": 1, "mean_margin": 1.25}
    assert row["auto_LiRPA"]["certified"] == 0
    assert row["difference"] == {"least": 0.0, "mean": 1.125, "greatest": 4.0}
