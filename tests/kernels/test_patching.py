"""Replaced operations are there inside the context, and gone after it."""

import keras
import pytest
import tensorflow as tf

from mmtf.kernels.keras_internals import layers_of
from mmtf.kernels.patching import patched


def test_contexts_nest_and_restore():
    layer = keras.layers.ReLU()
    with patched([(layer, "call", lambda inputs: inputs + 1.0)]):
        with patched([(layer, "call", lambda inputs: inputs + 2.0)]):
            assert float(layer(tf.constant(1.0))) == 3.0
        assert float(layer(tf.constant(1.0))) == 2.0
    assert "call" not in vars(layer)


def test_an_error_restores():
    layer = keras.layers.ReLU()
    with pytest.raises(KeyError), patched([(layer, "call", lambda inputs: inputs)]):
        raise KeyError
    assert "call" not in vars(layer)


def test_keras_does_not_track_the_replacement():
    """As an attribute of Keras' a layer would be saved and counted with the model."""
    layer = keras.layers.ReLU()
    with patched([(layer, "call", keras.layers.Dense(2))]):
        assert layers_of(layer) == []
