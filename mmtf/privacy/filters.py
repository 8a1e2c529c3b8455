"""Filters z = g(x; u), the leader's part of the privacy game, as Keras models of raw examples."""

from collections.abc import Callable

import keras
import numpy as np

from mmtf.errors import require, require_choice
from mmtf.privacy.examples import PrivacyData
from mmtf.privacy.projections import pca, plda, random_directions

STARTS = ("pca", "plda", "random")
HIDDEN = 20
PRETRAIN_EPOCHS = 60


def linear(data: PrivacyData, dimensions: int, *, start: str = "pca", seed: int = 0) -> keras.Model:
    """The filter z = W' x for flattened examples.

    Args:
      data: the examples; the start is computed from the training part.
      dimensions: d, length of z, 1 <= d <= D.
      start: initial W: `pca`, `plda` (`mmtf.privacy.projections`) or `random` orthonormal
        directions; scaled so that each output has variance 1 on the training examples.
      seed: of `random`.

    Returns:
      A model: float32 [N, ...] -> [N, d].
    """
    require_choice("start", start, STARTS)
    inputs, hidden, x = _scaled(data, dimensions)
    if start == "pca":
        directions = pca(x, dimensions)
        most = directions.shape[1]
        wanted = f"dimensions from 1 to {most} with start=pca and {len(x)} training examples"
        require(most == dimensions, wanted, dimensions)
    elif start == "plda":
        directions = plda(x, data.target_train, data.private_train, dimensions)
    else:
        directions = random_directions(x, dimensions, seed)
    directions = directions / np.maximum(np.std(x @ directions, 0), 1e-6)
    layer = keras.layers.Dense(dimensions, use_bias=False, name="directions")
    model = keras.Model(inputs, layer(hidden), name="linear")
    layer.set_weights([directions.astype(np.float32)])
    return model


def network(
    data: PrivacyData, dimensions: int, *, start: str = "pca", seed: int = 0
) -> keras.Model:
    """The filter of the reference code: D - 20 - d units with sigmoids, trained as an autoencoder.

    Args:
      data, dimensions, seed: see `linear`; the seed is that of the weights.
      start: unused; the start is the encoder of an autoencoder.
    """
    keras.utils.set_random_seed(seed)
    inputs, hidden, x = _scaled(data, dimensions)
    hidden = keras.layers.Dense(HIDDEN, "sigmoid")(hidden)
    model = keras.Model(inputs, keras.layers.Dense(dimensions, "sigmoid")(hidden), name="network")
    back = keras.layers.Dense(HIDDEN, "sigmoid")(model.output)
    autoencoder = keras.Model(inputs, keras.layers.Dense(x.shape[1])(back))
    autoencoder.compile(keras.optimizers.Adam(1e-2), "mse")
    autoencoder.fit(data.x_train, x, batch_size=128, epochs=PRETRAIN_EPOCHS, verbose=0)
    return model


def conv(data: PrivacyData, dimensions: int, *, start: str = "pca", seed: int = 0) -> keras.Model:
    """A convolutional filter of images: two 3 x 3 convolutions of stride 2, then d linear outputs.

    Args:
      data: images [N, H, W, C].
      dimensions, seed: see `network`.
      start: unused; the weights are random.

    Raises:
      ConfigError: the examples are not images.
    """
    require(len(data.shape) == 3, "images [N, H, W, C] with the filter conv", data.shape)
    keras.utils.set_random_seed(seed)
    inputs = keras.Input(data.shape, name="x")
    hidden = _scaling(data)(inputs)
    for width in (16, 32):
        hidden = keras.layers.Conv2D(
            width, 3, 2, "same", activation="relu", data_format="channels_last"
        )(hidden)
    hidden = keras.layers.Flatten()(hidden)
    return keras.Model(inputs, keras.layers.Dense(dimensions)(hidden), name="conv")


# Name -> function (data, dimensions, start=, seed=) -> Keras model.
FILTERS: dict[str, Callable[..., keras.Model]] = {
    "linear": linear,
    "network": network,
    "conv": conv,
}


def projecting(data: PrivacyData, directions: np.ndarray, name: str) -> keras.Model:
    """A linear filter with given directions [D, d], such as those of `mmtf.privacy.projections`."""
    inputs, hidden, _ = _scaled(data, 1)
    layer = keras.layers.Dense(directions.shape[1], use_bias=False)
    model = keras.Model(inputs, layer(hidden), name=name)
    layer.set_weights([directions.astype(np.float32)])
    return model


def standardized(model: keras.Model, x: np.ndarray) -> keras.Model:
    """Appends a layer that gives each output mean 0 and variance 1 on the examples `x`."""
    z = model.predict(x, batch_size=1000, verbose=0)
    layer = keras.layers.Normalization(
        mean=z.mean(0).tolist(), variance=np.maximum(z.var(0), 1e-12).tolist()
    )
    return keras.Model(model.inputs, layer(model.output), name=model.name)


def centered(data: PrivacyData) -> np.ndarray:
    """The training vectors [N, D] as filters see them: one scale for all, mean 0."""
    x = data.flat()[0]
    x = (x - x.mean()) / max(float(x.std()), 1e-6)
    return x - x.mean(0)


def _scaling(data):
    # One mean and deviation for all features: features that hardly vary are not amplified.
    return keras.layers.Normalization(
        axis=None, mean=float(data.x_train.mean()), variance=float(max(data.x_train.var(), 1e-12))
    )


def _scaled(data, dimensions):
    size = int(np.prod(data.shape))
    require(1 <= dimensions <= size, f"dimensions from 1 to {size}", dimensions)
    inputs = keras.Input(data.shape, name="x")
    return inputs, keras.layers.Flatten()(_scaling(data)(inputs)), centered(data)
