"""`optimized`: which operations it replaces where, and that it puts them back."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmtf.errors import ConfigError
from mmtf.kernels import BACKENDS, optimized
from mmtf.nets import NETS


@pytest.fixture
def net():
    return NETS["mnist_cnn"](image_shape=(8, 8, 1), num_classes=3)


def replaced(net):
    """{(type of the layer, attribute)} of what is replaced."""
    return {
        (type(layer).__name__, name)
        for layer in net.layers
        for name in ("call", "convolution_op")
        if name in vars(layer)
    }


EXPECTED = {
    "cpu": {("Conv2D", "convolution_op"), ("MaxPooling2D", "call"), ("ReLU", "call")},
    "xla": {("Conv2D", "convolution_op"), ("MaxPooling2D", "call"), ("Dense", "call")},
    "inference": {("Conv2D", "convolution_op")},
    "bounds": {("Conv2D", "convolution_op")},
}


@pytest.mark.parametrize("backend", BACKENDS)
def test_each_backend_has_its_operations_inside_only(net, backend, rng, monkeypatch):
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: [])
    x = tf.constant(rng.uniform(-1, 1, (4, 8, 8, 1)), tf.float32)
    expected = net(x, training=False)
    with optimized(net, backend):
        assert replaced(net) == EXPECTED[backend]
        found = tf.function(net, jit_compile=backend == "xla", autograph=False)(x)
    assert not replaced(net)
    # Sums of at most 800 products of order 1 (5 x 5 x 32, and of the dense layers fewer).
    np.testing.assert_allclose(
        found, expected, rtol=0, atol=800 * 2.0**-24 * np.abs(expected).max()
    )


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_gpu_keeps_its_own_kernels_but_for_xla(net, backend, monkeypatch):
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: ["a card"])
    with optimized(net, backend):
        assert replaced(net) == (EXPECTED["xla"] if backend == "xla" else set())


@pytest.mark.parametrize("backend", BACKENDS)
def test_functions_stay_as_they_are(backend):
    with optimized(lambda x: x, backend):
        pass


def test_an_error_inside_puts_the_operations_back(net):
    with pytest.raises(KeyError), optimized(net, "xla"):
        raise KeyError
    assert not replaced(net)


def test_an_unknown_backend_is_refused(net):
    with pytest.raises(ConfigError, match="Expected backend to be one of cpu, xla, inference"):
        optimized(net, "gpu").__enter__()


def test_quantized_layers_stay_as_they_are(monkeypatch):
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: [])
    net = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3)])
    net.quantize("int8")
    with optimized(net, "xla"):
        assert not replaced(net)
