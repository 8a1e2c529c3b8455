"""MagNet's two auto-encoders of pixels in [0, 1]."""

from collections.abc import Sequence

import keras

from mmtf.errors import require, require_int, require_seed
from mmtf.nets.layout import LAST

ACTIVITY = 1e-9  # l2 regularization of the hidden activations
ARCHITECTURES = ("I", "II")


def make_autoencoder(
    architecture: str, image_shape: Sequence[int], *, filters: int = 3, seed: int = 0
) -> keras.Model:
    """An auto-encoder of Meng & Chen (2017) with its initial weights.

    All convolutions are 3x3 with a sigmoid, those before the last have `filters` channels:
      I: convolution, average pooling over 2x2, convolution | convolution, upsampling, convolution |
        convolution with the image's channels.
      II: convolution | convolution | convolution with the image's channels.

    Args:
      architecture: `I` or `II`.
      image_shape: (H, W, C); H and W are even for I.
      filters: > 0.
      seed: of the initial weights, Glorot uniform.

    Raises:
      ConfigError: an argument out of range.

    Example:
      >>> model = make_autoencoder("I", (28, 28, 1))
      >>> model.output_shape, model.count_params()
      ((None, 28, 28, 1), 310)
    """
    require(architecture in ARCHITECTURES, "architecture I or II", architecture)
    require_int("filters", filters)
    require_seed(seed)
    height, width, channels = image_shape
    layers = keras.layers
    number = 0

    def convolution(outputs: int, penalized: bool = True) -> keras.layers.Layer:
        nonlocal number
        number += 1
        return layers.Conv2D(
            outputs,
            3,
            padding="same",
            activation="sigmoid",
            kernel_initializer=keras.initializers.GlorotUniform(seed=100 * seed + number),
            activity_regularizer=keras.regularizers.L2(ACTIVITY) if penalized else None,
            dtype="float32",
            **LAST,
        )

    name = f"autoencoder_{architecture}_{seed}"
    model = keras.Sequential([keras.Input(tuple(image_shape))], name=name)
    model.add(convolution(filters))
    if architecture == "I":
        require(height % 2 == width % 2 == 0, "images of even height and width", (height, width))
        model.add(layers.AveragePooling2D(2, **LAST))
        model.add(convolution(filters))
        model.add(convolution(filters))
        model.add(layers.UpSampling2D(2, **LAST))
    model.add(convolution(filters))
    model.add(convolution(channels, penalized=False))
    return model
