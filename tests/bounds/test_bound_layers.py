"""Every supported layer: its matrix, found column by column, gives the closed forms of bounds."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmtf.bounds import supported
from mmtf.bounds.affine import Affine
from mmtf.bounds.layers import operations_of
from mmtf.bounds.pooling import Maximum
from mmtf.bounds.supported import SUPPORTED
from mmtf.errors import ConfigError

L = keras.layers
IMAGE = (5, 6, 2)


def normalization(**options):
    return L.Normalization(mean=[0.3, -0.2], variance=[0.5, 2.0], **options)


AFFINE = {
    "conv": (L.Conv2D(3, 3, strides=2, padding="same"), IMAGE),
    "conv_valid": (L.Conv2D(3, (2, 3), strides=(1, 2)), IMAGE),
    "conv_dilated": (L.Conv2D(2, 2, dilation_rate=2), IMAGE),
    "conv_groups": (L.Conv2D(4, 3, groups=2, padding="same"), IMAGE),
    "conv_channels_first": (L.Conv2D(3, 2, data_format="channels_first"), (2, 4, 5)),
    "conv_1d": (L.Conv1D(3, 2, strides=2), (7, 2)),
    "conv_3d": (L.Conv3D(2, 2), (3, 3, 3, 2)),
    "conv_transpose": (L.Conv2DTranspose(2, 3, strides=2, padding="same"), (3, 2, 2)),
    "depthwise": (L.DepthwiseConv2D(3, depth_multiplier=2, padding="same"), IMAGE),
    "dense": (L.Dense(4), (6,)),
    "dense_without_bias": (L.Dense(4, use_bias=False), (6,)),
    "dense_of_rows": (L.Dense(4), (3, 2)),
    "batch_normalization": (L.BatchNormalization(), IMAGE),
    "batch_normalization_axis": (L.BatchNormalization(axis=1, scale=False), IMAGE),
    "normalization": (normalization(), IMAGE),
    "normalization_inverse": (normalization(invert=True), IMAGE),
    "rescaling": (L.Rescaling(-0.5, 0.25), IMAGE),
    "average_pooling": (L.AveragePooling2D(2, padding="same"), IMAGE),
    "average_pooling_channels_first": (L.AveragePooling2D(2, data_format="channels_first"), IMAGE),
    "average_pooling_1d": (L.AveragePooling1D(2), (6, 2)),
    "global_average": (L.GlobalAveragePooling2D(keepdims=True), IMAGE),
    "global_average_1d": (L.GlobalAveragePooling1D(), (4, 2)),
    "flatten": (L.Flatten(), IMAGE),
    "reshape": (L.Reshape((4, -1)), IMAGE),
    "permute": (L.Permute((3, 1, 2)), IMAGE),
    "padding": (L.ZeroPadding2D(((1, 0), (2, 1))), IMAGE),
    "padding_1d": (L.ZeroPadding1D(2), (4, 2)),
    "cropping": (L.Cropping2D(1), IMAGE),
    "cropping_1d": (L.Cropping1D(1), (4, 2)),
    "upsampling": (L.UpSampling2D(2), (2, 2, 2)),
}


@pytest.mark.parametrize("name", AFFINE)
def test_affine_layers(name, rng):
    layer, shape = AFFINE[name]
    layer.build((None, *shape))
    for weight in layer.weights:
        positive = "variance" in weight.path
        values = rng.uniform(0.5, 2, weight.shape) if positive else rng.normal(size=weight.shape)
        weight.assign(values)
    (operation,) = operations_of(layer, [shape])
    size = int(np.prod(shape))
    basis = tf.reshape(tf.eye(size, dtype=tf.float64), [size, *shape])
    columns = operation.linear(basis)
    out = tuple(columns.shape[1:])
    matrix = columns.numpy().reshape(size, -1).T

    x = rng.uniform(-1, 1, (3, *shape))
    wanted = layer(np.float32(x), training=False).numpy()
    offset = operation.forward(tf.zeros([1, *shape], tf.float64)).numpy().ravel()
    value = operation.forward(tf.constant(x)).numpy()
    # The layer computes in float32: some dozen roundings of 6e-8 of values below 10.
    np.testing.assert_allclose(value, wanted, atol=5e-5, rtol=1e-5)
    np.testing.assert_allclose(
        value.reshape(3, -1), x.reshape(3, -1) @ matrix.T + offset, atol=1e-12
    )

    a = rng.normal(size=(3, *out))
    (back,) = operation.transpose(tf.constant(a), [shape])
    np.testing.assert_allclose(back.numpy().reshape(3, -1), a.reshape(3, -1) @ matrix, atol=1e-12)
    np.testing.assert_allclose(
        operation.constant(tf.constant(a)), a.reshape(3, -1) @ offset, atol=1e-12
    )

    high = x + rng.uniform(0, 1, x.shape)
    low, top = operation.interval((tf.constant(x), tf.constant(high)))
    center, radius = ((x + high) / 2).reshape(3, -1), ((high - x) / 2).reshape(3, -1)
    for found, sign in ((low, -1), (top, 1)):
        exact = center @ matrix.T + offset + sign * radius @ np.abs(matrix).T
        np.testing.assert_allclose(found.numpy().reshape(3, -1), exact, atol=1e-12)
    assert operation.mixing or (np.count_nonzero(matrix, axis=1) <= 1).all()


def test_separable_convolutions_have_a_valid_interval(rng):
    """|P| |D| is at least |P D|: the interval is valid, not always exact."""
    layer = L.SeparableConv2D(3, 2)
    layer.build((None, *IMAGE))
    (operation,) = operations_of(layer, [IMAGE])
    x = rng.uniform(-1, 1, (1, *IMAGE))
    low, high = operation.interval((tf.constant(x - 0.3), tf.constant(x + 0.3)))
    z = x + 0.3 * rng.choice([-1, 1], (2000, *IMAGE))
    value = operation.forward(tf.constant(z)).numpy()
    assert (low <= value.min(0) + 1e-12).numpy().all()
    assert (high >= value.max(0) - 1e-12).numpy().all()


@pytest.mark.parametrize("kind", supported.MERGING)
def test_merging_layers(kind, rng):
    layer, x, y = kind(), rng.normal(size=(2, 3, 2)), rng.normal(size=(2, 3, 2))
    layer.build([(None, 3, 2)] * 2)
    (operation,) = operations_of(layer, [(3, 2)] * 2)
    both = tf.constant(x), tf.constant(y)
    value = operation.forward(*both).numpy()
    np.testing.assert_allclose(value, layer([np.float32(x), np.float32(y)]), atol=1e-6)
    a = rng.normal(size=value.shape)
    parts = operation.transpose(tf.constant(a), [(3, 2)] * 2)
    total = sum((part.numpy() * one.numpy()).sum() for part, one in zip(parts, both, strict=True))
    assert total == pytest.approx((a * value).sum())
    low, high = operation.interval((both[0] - 1.0, both[0] + 1.0), (both[1] - 0.5, both[1] + 0.5))
    for _ in range(50):
        moved = [one + rng.uniform(-w, w, one.shape) for one, w in zip(both, (1, 0.5), strict=True)]
        inside = operation.forward(*moved)
        assert (low <= inside).numpy().all() and (inside <= high).numpy().all()


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("pool, stride", [(2, 2), (3, 2), ((2, 3), (1, 3))])
def test_max_pooling(padding, pool, stride, rng):
    layer = L.MaxPooling2D(pool, stride, padding)
    select, maximum = operations_of(layer, [IMAGE])
    x = rng.normal(size=(4, *IMAGE))
    value = maximum.forward(select.forward(tf.constant(x)))
    np.testing.assert_array_equal(np.float32(value), layer(np.float32(x)))


@pytest.mark.parametrize("keepdims", [False, True])
def test_global_max_pooling(keepdims, rng):
    layer, x = L.GlobalMaxPooling2D(keepdims=keepdims), rng.normal(size=(4, *IMAGE))
    value = tf.constant(x)
    for operation in operations_of(layer, [IMAGE]):
        value = operation.forward(value)
    np.testing.assert_array_equal(np.float32(value), layer(np.float32(x)))


def test_activation_layers(rng):
    x = rng.normal(0, 4, size=(50, 3))
    for layer in (
        L.ReLU(),
        L.ReLU(negative_slope=0.1),
        L.ReLU(max_value=2.0),
        L.LeakyReLU(0.3),
        L.ELU(),
        L.Activation("gelu"),
        L.Activation("relu6"),
    ):
        (operation,) = operations_of(layer, [(3,)])
        np.testing.assert_allclose(
            operation.forward(tf.constant(x)), layer(np.float32(x)), atol=1e-5
        )
    assert operations_of(L.Activation("linear"), [(3,)]) == []
    dense = L.Dense(2, activation=L.LeakyReLU(0.3))
    dense.build((None, 3))
    assert [type(one).__name__ for one in operations_of(dense, [(3,)])] == ["Affine", "LeakyReLU"]


def test_every_supported_layer_is_in_a_test():
    tested = {type(layer) for layer, _ in AFFINE.values()}
    tested |= {*supported.MERGING, *supported.POOLING, *supported.ACTIVATIONS}
    tested |= {*supported.IDENTITIES, L.SeparableConv2D}
    assert tested == set(SUPPORTED)
    for kind in supported.IDENTITIES:
        layer = kind(0.1) if kind not in (L.Identity, L.ActivityRegularization) else kind()
        assert operations_of(layer, [(3,)]) == []


class MyDense(L.Dense):
    """May compute anything."""


@pytest.mark.parametrize(
    "layer, named",
    [
        (L.LayerNormalization(name="norm"), "LayerNormalization 'norm'"),
        (L.Softmax(name="end"), "Softmax 'end'"),
        (L.PReLU(name="p"), "PReLU 'p'"),
        (L.LSTM(2, name="memory"), "LSTM 'memory'"),
        (L.Multiply(name="times"), "Multiply 'times'"),
        (L.Lambda(lambda x: x, name="any"), "Lambda 'any'"),
        (MyDense(2, name="mine"), "MyDense 'mine'"),
        (L.Dense(2, activation="softmax", name="d"), "Dense 'd' with activation 'softmax'"),
        (L.ReLU(threshold=1.0, name="r"), "ReLU 'r' with slope 0.0, max_value None, threshold 1.0"),
        (L.ELU(alpha=2.0, name="e"), "ELU 'e' with alpha 2.0"),
        (L.UpSampling2D(interpolation="bilinear", name="u"), "UpSampling2D 'u' with interpolation"),
        (
            L.MaxPooling2D(data_format="channels_first", name="m"),
            "MaxPooling2D 'm' with data_format",
        ),
    ],
)
def test_unsupported_layers_are_named(layer, named):
    shape = (3, 3, 2) if isinstance(layer, L.MaxPooling2D | L.UpSampling2D) else (4,)
    if isinstance(layer, L.Dense):
        layer.build((None, 4))
    with pytest.raises(ConfigError) as raised:
        operations_of(layer, [shape])
    message = str(raised.value)
    assert f"Received: {named}" in message and "\n" not in message


def test_weights_are_read_at_every_call():
    layer = L.Dense(1)
    layer.build((None, 1))
    (operation,) = operations_of(layer, [(1,)])
    assert isinstance(operation, Affine)
    for weight in (1.0, 3.0):
        layer.kernel.assign([[weight]])
        assert operation.forward(tf.ones([1, 1], tf.float64)).numpy() == weight


def test_maximum_is_no_affine_operation():
    assert not isinstance(Maximum(), Affine)
