"""The private names of Keras that mmtf uses: that they are there, and nowhere else in mmtf."""

import inspect
import pathlib
import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmtf.kernels import keras_internals
from mmtf.kernels.keras_internals import (
    adam_slots,
    global_seed_state,
    input_tensors_of,
    layers_of,
    make_global_seed_generator,
    new_of_same_config,
    producer_of,
    variables_trained_by,
)

ROOT = pathlib.Path(keras_internals.__file__).parents[2]
PRIVATE = (
    r"keras\.src|_flatten_layers|_keras_history|_inbound_nodes|_get_variable_index"
    r"|_momentums|_velocities|_outputs_struct|_nodes_by_depth|[.\"']_functional\b"
    r"|\._trainable_variables|[.\"']_learning_rate\b"
)


def test_keras_has_the_private_names():
    """Fails first on a Keras that renamed one: keras_internals.py is the file to change."""
    optimizer, layer = keras.optimizers.Adam(), keras.layers.Dense(2)
    optimizer.build([keras.Variable([1.0])])
    tensor = layer(keras.Input((3,)))
    names = {
        "_flatten_layers": layer,
        "_keras_history": tensor,
        "_inbound_nodes": layer,
        "_get_variable_index": optimizer,
        "_momentums": optimizer,
        "_velocities": optimizer,
        "_trainable_variables": optimizer,
        "_learning_rate": optimizer,
    }
    gone = [name for name, owner in names.items() if not hasattr(owner, name)]
    assert not gone, f"Keras {keras.__version__} lacks {gone}: see {keras_internals.__file__}"
    assert {"recursive", "include_self"} <= set(inspect.signature(layer._flatten_layers).parameters)
    assert {"operation", "node_index", "tensor_index"} <= set(tensor._keras_history._fields)
    graph = keras.Sequential([keras.Input((3,)), layer])._functional
    assert hasattr(graph, "_outputs_struct")
    nodes = [node for level in graph._nodes_by_depth.values() for node in level]
    assert layer in [node.operation for node in nodes]


@pytest.mark.parametrize("folder", ["mmtf", "benchmarks", "scripts"])
def test_no_other_module_uses_them(folder):
    own = pathlib.Path(keras_internals.__file__)
    for path in (ROOT / folder).rglob("*.py"):
        found = re.findall(PRIVATE, path.read_text(encoding="utf-8"))
        assert not found or path == own, (path, found)


def test_layers_at_any_depth():
    inner = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    last = keras.layers.ReLU()
    model = keras.Sequential([inner, last])
    found = layers_of(model)
    assert model not in found and inner in found and inner.layers[0] in found and last in found
    assert layers_of(model, include_self=True) == [model, *found]
    assert layers_of(last) == [] and layers_of(lambda x: x) == []


def test_from_an_output_back_to_the_inputs():
    inputs = keras.Input((2,))
    first, second = keras.layers.Dense(3), keras.layers.Dense(3)
    outputs = keras.ops.add(first(inputs), second(inputs))
    model = keras.Model(inputs, outputs)
    assert isinstance(producer_of(model.outputs[0]), keras.Operation)
    before = input_tensors_of(model.outputs[0])
    assert [producer_of(one) for one in before] == [first, second]
    assert producer_of(tf.ones(2)) is None and producer_of(None) is None


def test_a_layer_called_twice_has_the_inputs_of_each_call():
    inputs, layer = keras.Input((2,)), keras.layers.Dense(2)
    once = layer(inputs)
    twice = layer(once)
    assert input_tensors_of(once)[0] is inputs and input_tensors_of(twice)[0] is once


def test_the_slots_of_adam():
    variables = [keras.Variable([1.0, 2.0]), keras.Variable([[3.0]])]
    optimizer = keras.optimizers.Adam(0.1, beta_1=0.9, beta_2=0.99)
    optimizer.build(variables)
    gradients = [tf.constant([1.0, -2.0]), tf.constant([[4.0]])]
    optimizer.apply(gradients, variables)
    for gradient, variable in zip(gradients, variables, strict=True):
        m, v = adam_slots(optimizer, variable)
        # Of zero at the start: (1 - b) times the gradient, and times its square.
        np.testing.assert_allclose(m, 0.1 * gradient, rtol=1e-6)
        np.testing.assert_allclose(v, 0.01 * gradient**2, rtol=1e-5)


class Halving(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule without a config, as users write them."""

    def __call__(self, step):
        return 0.5 ** tf.cast(step, tf.float32)


@pytest.mark.parametrize("rate", [0.1, Halving()])
def test_an_optimizer_is_made_anew_for_the_same_variables(rate):
    variables = [keras.Variable([1.0, 2.0]), keras.Variable([[3.0]])]
    optimizer = keras.optimizers.SGD(rate, momentum=0.9)
    assert variables_trained_by(optimizer) == [] and not new_of_same_config(optimizer).built
    optimizer.build(variables)
    optimizer.apply([tf.constant([1.0, -2.0]), tf.constant([[4.0]])])
    before = float(optimizer.learning_rate)
    made = new_of_same_config(optimizer)
    assert list(map(id, variables_trained_by(made))) == list(map(id, variables))
    assert made.momentum == 0.9 and int(made.iterations) == 0 and int(optimizer.iterations) == 1
    assert float(optimizer.learning_rate) == before


def test_the_global_seed_generator_is_the_one_that_keras_draws_from():
    make_global_seed_generator()
    state = global_seed_state()
    before = state.numpy().copy()
    keras.random.uniform((1,))
    assert not np.array_equal(state.numpy(), before)
    make_global_seed_generator()
    assert global_seed_state() is state
