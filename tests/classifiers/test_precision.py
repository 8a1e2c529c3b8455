"""bfloat16 where it was asked for, and nowhere else."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmtf.classifiers._names_0_1 import evaluating_in_float32
from mmtf.classifiers.precision import computing_in
from mmtf.kernels.keras_internals import layers_of
from mmtf.nets import NETS


@pytest.fixture
def net():
    return NETS["mnist_cnn"](image_shape=(8, 8, 1), num_classes=4, init="tutorial")


@pytest.fixture
def x(rng):
    return tf.constant(rng.uniform(-1, 1, (16, 8, 8, 1)), tf.float32)


def traced(model, x):
    """`model` in a graph that is traced now."""
    function = tf.function(lambda images: model(images, training=False))
    function(x)
    return function


def policies(model):
    return [layer.dtype_policy.name for layer in layers_of(model, include_self=True)]


def test_bfloat16_inside_float32_outside(net, x):
    before = net(x, training=False).numpy()
    plain = traced(net, x)(x).numpy()
    with computing_in(net, "bfloat16"):
        low = traced(net, x)
        logits = low(x)
    assert logits.dtype == tf.float32
    error = np.abs(logits - plain).max() / np.abs(plain).max()
    # bfloat16 keeps 8 bits: 2^-9 a rounding, some tens of which meet in a logit; float32 alone
    # would be near 1e-7.
    assert 1e-4 < error < 0.05
    np.testing.assert_array_equal(net(x, training=False), before)
    np.testing.assert_array_equal(traced(net, x)(x), plain)
    # What was traced inside keeps its type.
    np.testing.assert_array_equal(low(x), logits)


def test_the_last_layer_computes_in_float32(net, x):
    with computing_in(net, "bfloat16"):
        inside = policies(net)
        logits = traced(net, x)(x)
    assert inside[-1] == "float32" and inside.count("mixed_bfloat16") >= len(net.layers) - 2
    # Logits rounded to bfloat16 would be unchanged by rounding them again.
    assert (tf.cast(tf.cast(logits, tf.bfloat16), tf.float32) != logits).numpy().mean() > 0.9


def test_what_comes_after_the_last_weights_and_in_a_nested_model_too(net, x):
    layers = keras.layers
    nets = [
        keras.Sequential([keras.Input((8, 8, 1)), layers.Rescaling(2.0), net]),
        keras.Sequential([keras.Input((8, 8, 1)), *net.layers, layers.ReLU()]),
    ]
    for model in nets:
        with computing_in(model, "bfloat16"):
            function = traced(model, x)
        assert function(x).dtype == tf.float32
        kinds = [
            one.outputs[0].dtype
            for one in function.get_concrete_function(x).graph.get_operations()
            if one.type in ("Conv2D", "MatMul")
        ]
        assert kinds == [tf.bfloat16] * 3 + [tf.float32]


@pytest.mark.parametrize("functional", [False, True])
def test_variables_stay_float32(net, x, functional):
    if functional:
        net = keras.Model(net.inputs, net.outputs)
    weights = [np.array(value) for value in net.get_weights()]
    with computing_in(net, "bfloat16"), tf.GradientTape() as tape:
        loss = tf.reduce_sum(net(x, training=True))
        gradients = tape.gradient(loss, net.trainable_variables)
        assert {variable.dtype for variable in net.weights} == {"float32"}
    assert {gradient.dtype for gradient in gradients} == {tf.float32}
    for value, weight in zip(net.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(value, weight)


def test_policies_are_restored_after_an_exception(net, x):
    before, plain = policies(net), net(x, training=False).numpy()
    with pytest.raises(ZeroDivisionError), computing_in(net, "bfloat16"):
        assert policies(net) != before
        raise ZeroDivisionError
    assert policies(net) == before
    np.testing.assert_array_equal(net(x, training=False), plain)


def test_contexts_nest(net, x):
    plain = net(x, training=False).numpy()
    with computing_in(net, "bfloat16"):
        low = policies(net)
        with computing_in(net, "float32"):
            np.testing.assert_array_equal(net(x, training=False), plain)
        assert policies(net) == low
        assert (net(x, training=False).numpy() != plain).any()


@pytest.mark.parametrize("before", [True, False])
def test_evaluation_is_not_in_tf32(before):
    config = tf.config.experimental
    kept = config.tensor_float_32_execution_enabled()
    try:
        config.enable_tensor_float_32_execution(before)
        with pytest.raises(ZeroDivisionError), evaluating_in_float32(lambda x: x):
            assert not config.tensor_float_32_execution_enabled()
            raise ZeroDivisionError
        assert config.tensor_float_32_execution_enabled() is before
    finally:
        config.enable_tensor_float_32_execution(kept)


def test_quantized_layers_keep_their_arithmetic(rng):
    layers = [keras.Input((4, 4, 1)), keras.layers.Flatten()]
    layers += [keras.layers.Dense(8, activation="relu"), keras.layers.Dense(3)]
    model = keras.Sequential(layers)
    x = rng.uniform(-1, 1, (6, 4, 4, 1)).astype(np.float32)
    plain = model(x).numpy()
    model.quantize("int8")
    expected = model(x).numpy()
    with evaluating_in_float32(model):
        found = model(x, training=False).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert np.abs(found - plain).max() < 0.05 * np.abs(plain).max()


def test_a_composite_last_layer_computes_in_float32(rng):
    head = keras.layers.SpectralNormalization(keras.layers.Dense(3))
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(5), head])
    with computing_in(model, "bfloat16"):
        assert model(rng.uniform(-1, 1, (2, 4)).astype(np.float32)).dtype == tf.float32
        assert model.layers[0].dtype_policy.name == "mixed_bfloat16"
