"""What every net promises: logits, seeds, initializers, dropout."""

import keras
import numpy as np
import pytest
import scipy.stats

from mmtf.errors import ConfigError
from mmtf.nets import NETS, STRIDED

# (deviation, bias) of each layer with weights, from the tutorials (DESIGN.md).
TUTORIAL = {
    "mnist_cnn": [(0.1, 0.0), (0.1, 0.1), (0.1, 0.1), (0.1, 0.1)],
    "cifar_cnn": [(0.05, 0.0), (0.05, 0.1), (0.04, 0.1), (0.04, 0.1), (1 / 192, 0.0)],
}
DENSE = {"mnist_cnn": 2, "cifar_cnn": 3}  # how many of these layers are dense
every_net = pytest.mark.parametrize("name", NETS)
tutorial_net = pytest.mark.parametrize("name", TUTORIAL)


def small(name, **options):
    return NETS[name](**{"image_shape": (8, 8, 1), "num_classes": 4, **options})


def weighted(model):
    """(kernel, bias) of each layer that has weights, as NumPy arrays."""
    return [layer.get_weights() for layer in model.layers if layer.get_weights()]


def images(count=6, shape=(8, 8, 1), seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (count, *shape)).astype(np.float32)


def test_the_table_is_complete():
    assert set(TUTORIAL) == set(DENSE) == set(NETS) - set(STRIDED)


@every_net
@pytest.mark.parametrize("shape, classes", [((28, 28, 1), 10), ((32, 32, 3), 7), ((9, 7, 2), 2)])
def test_shapes(name, shape, classes):
    model = NETS[name](image_shape=shape, num_classes=classes)
    logits = model(images(3, shape), training=False)
    assert logits.shape == (3, classes) and model.output_shape == (None, classes)
    assert logits.dtype == "float32"


@every_net
def test_a_net_is_the_same_whatever_the_image_data_format(name, first_channels):
    x, usual = images(), small(name)
    first_channels()
    other = small(name)
    assert [one.shape for one in other.weights] == [one.shape for one in usual.weights]
    np.testing.assert_array_equal(other(x, training=False), usual(x, training=False))


@tutorial_net
def test_logits_come_out(name):
    model = small(name, init="tutorial")
    assert model.layers[-1].activation is keras.activations.linear
    assert (model(images(), training=False).numpy() < 0).any()


@tutorial_net
def test_tutorial_initializers(name):
    # Full size, for many samples. TensorFlow draws again beyond two deviations, which leaves
    # sqrt(1 - 4 pdf(2) / (2 cdf(2) - 1)) = 0.8796 of the nominal deviation.
    left = scipy.stats.truncnorm(-2, 2).std()
    assert left == pytest.approx(0.8796, abs=5e-5)
    layers = weighted(NETS[name](init="tutorial"))
    assert len(layers) == len(TUTORIAL[name])
    for (kernel, bias), (deviation, constant) in zip(layers, TUTORIAL[name], strict=True):
        sd = deviation * left
        # The mean of n samples has deviation sd / sqrt(n); their sample deviation has
        # sd sqrt((kurtosis - 1) / 4n) < sd / sqrt(2n), the kurtosis being below the normal's 3.
        assert abs(kernel.mean()) < 5 * sd / np.sqrt(kernel.size)
        assert abs(kernel.std(dtype=np.float64) - sd) < 5 * sd / np.sqrt(2 * kernel.size)
        assert np.abs(kernel).max() <= 2 * deviation * (1 + 1e-6)
        np.testing.assert_array_equal(bias, np.full(bias.shape, constant, np.float32))


@tutorial_net
def test_keras_initializers(name):
    for kernel, bias in weighted(NETS[name](init="keras")):
        receptive = int(np.prod(kernel.shape[:-2]))
        fans = receptive * (kernel.shape[-2] + kernel.shape[-1])
        limit = np.sqrt(6 / fans)  # Glorot's uniform law
        assert np.abs(kernel).max() <= limit * (1 + 1e-6)
        # Its deviation is limit / sqrt(3), its kurtosis 1.8: sqrt(0.8 / 4n) relative.
        sd = limit / np.sqrt(3)
        assert abs(kernel.std(dtype=np.float64) - sd) < 5 * sd * np.sqrt(0.2 / kernel.size)
        np.testing.assert_array_equal(bias, np.zeros(bias.shape))


@tutorial_net
@pytest.mark.parametrize("init", ["keras", "tutorial"])
def test_seeds(name, init):
    one, same, other = (small(name, init=init, seed=seed) for seed in (4, 4, 5))
    for (a, _), (b, _), (c, _) in zip(*map(weighted, (one, same, other)), strict=True):
        np.testing.assert_array_equal(a, b)
        assert (a != c).mean() > 0.9


@tutorial_net
def test_layers_of_one_shape_begin_differently(name):
    """One seed for all layers would repeat the same numbers."""
    kernels = [kernel.ravel()[:8] / kernel.std() for kernel, _ in weighted(small(name))]
    for i, one in enumerate(kernels):
        for other in kernels[:i]:
            assert np.abs(one - other).max() > 0.01


@tutorial_net
def test_unknown_initializer(name):
    with pytest.raises(ConfigError, match="init to be one of keras, tutorial. Received: 'he'"):
        small(name, init="he")


@tutorial_net
@pytest.mark.parametrize("options", [{"dropout": 1.0}, {"dropout": -0.1}, {"weight_decay": -1.0}])
def test_impossible_rates(name, options):
    with pytest.raises(ConfigError, match="Expected .* Received"):
        small(name, **options)


@tutorial_net
def test_dropout_acts_in_training_only(name):
    x = images()
    for rate, differs in ((0.5, True), (0.0, False)):
        model = small(name, dropout=rate)
        evaluated = model(x, training=False).numpy()
        np.testing.assert_array_equal(evaluated, model(x, training=False))
        trained = model(x, training=True).numpy()
        # The same operations but for the masks: some ulps of logits of order 1.
        assert (np.abs(trained - evaluated).max() > 1e-3) == differs
        if differs:
            assert np.abs(trained - model(x, training=True)).max() > 1e-3


@tutorial_net
def test_pool_then_relu_equals_relu_then_pool(name):
    """The tutorials rectify first: a net built so, with the same weights, gives the same."""
    shape = (11, 9, 2)  # odd sizes: the pools pad
    model = NETS[name](image_shape=shape, num_classes=5, init="tutorial", seed=1)
    filters, window, units = {
        "mnist_cnn": (32, 2, [512]),
        "cifar_cnn": (64, 3, [384, 192]),
    }[name]
    other = keras.Sequential([keras.Input(shape)])
    for count in (filters, 64):
        other.add(keras.layers.Conv2D(count, 5, padding="same", activation="relu"))
        other.add(keras.layers.MaxPooling2D(window, 2, padding="same"))
    other.add(keras.layers.Flatten())
    for count in units:
        other.add(keras.layers.Dense(count, activation="relu"))
    other.add(keras.layers.Dense(5))
    other.set_weights(model.get_weights())
    x = images(16, shape)
    expected = other(x, training=False).numpy()
    assert np.abs(expected).max() > 1e-2
    # Equal operations in another order: float32 noise of sums of up to 3,000 terms.
    atol = 1e-5 * np.abs(expected).max()
    np.testing.assert_allclose(model(x, training=False), expected, rtol=0, atol=atol)


@tutorial_net
def test_weight_decay(name):
    model = small(name, init="tutorial", weight_decay=0.02)
    if name == "mnist_cnn":  # kernels and biases of both dense layers
        decayed = [array for layer in weighted(model)[-2:] for array in layer]
    else:  # kernels of the two hidden dense layers
        decayed = [kernel for kernel, _ in weighted(model)[-3:-1]]
    expected = 0.02 * sum((array.astype(np.float64) ** 2).sum() for array in decayed) / 2
    # float32 sums of up to 1.3e5 squares.
    assert float(sum(model.losses)) == pytest.approx(expected, rel=1e-5)
    assert small(name).losses == []


@pytest.mark.parametrize("name", STRIDED)
def test_strided_nets_begin_by_their_seed_and_refuse_other_initializers(name):
    same, again, other = (small(name, width=4, hidden=8, seed=seed) for seed in (1, 1, 2))
    for one, two, three in zip(same.weights, again.weights, other.weights, strict=True):
        np.testing.assert_array_equal(one, two)
        # Biases, the parameters of BatchNormalization, and the slopes of the learned clip.
        constant = len(one.shape) == 1 or one.shape == (1, 1, 1, 1)
        assert constant or np.abs(one.numpy() - three.numpy()).max() > 0
    with pytest.raises(ConfigError, match="init to be one of keras, ibp"):
        small(name, init="tutorial")
    with pytest.raises(ConfigError, match="width"):
        small(name, width=0)


def test_the_learned_clip_starts_as_a_clip():
    model = NETS["clipped_cnn"](image_shape=(8, 8, 2), clip=0.3)
    x = images(50, (8, 8, 2))
    clipped = x
    for layer in model.layers[:2]:
        clipped = layer(clipped)
    np.testing.assert_allclose(clipped, (np.clip(x, -0.3, 0.3) + 0.3) / 0.6, rtol=0, atol=1e-6)


def test_pixels_beyond_the_learned_clip_do_not_matter():
    model = NETS["clipped_cnn"](image_shape=(8, 8, 1), clip=0.4)
    black_and_white = np.sign(images())
    moved = np.clip(black_and_white + images(seed=1) * 0.59, -1, 1)
    np.testing.assert_array_equal(model(black_and_white), model(moved))


def test_without_the_clip_it_is_strided_cnn():
    shared = {"init": "ibp", "width": 4, "hidden": 8, "seed": 3}
    clipped, plain = small("clipped_cnn", **shared), small("strided_cnn", **shared)
    for one, other in zip(clipped.layers[2:], plain.layers, strict=True):
        for mine, theirs in zip(one.weights, other.weights, strict=True):
            np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("clip", [0, -1.0, "wide"])
def test_a_clip_of_no_width_is_refused(clip):
    with pytest.raises(ConfigError, match="clip"):
        NETS["clipped_cnn"](clip=clip)
