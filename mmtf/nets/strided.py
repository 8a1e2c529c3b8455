"""A small convolutional net without pooling."""

import keras

from mmtf.errors import require_number, require_seed
from mmtf.nets.initializers import Initializers
from mmtf.nets.layout import LAST


def strided_cnn(
    *,
    image_shape: tuple[int, int, int] = (28, 28, 1),
    num_classes: int = 10,
    init: str = "keras",
    dropout: float = 0.0,
    weight_decay: float = 0.0,
    seed: int = 0,
) -> keras.Model:
    """Two 4x4 convolutions of stride 2 with 32 and 64 channels, a dense layer of 256 units, logits.

    A forward pass takes a fifth of the multiplications of `mnist_cnn`, which matters where each
    image is classified thousands of times, as `mmtf.smoothing` does.

    Args:
      image_shape: (H, W, C).
      num_classes: number of logits.
      init: initial weights, see `mmtf.nets.mnist_cnn`.
      dropout: dropout rate after the dense layer, in [0, 1).
      weight_decay: w >= 0 of the regularization loss w * sum(k^2) / 2 over the kernels and biases k
        of the dense layer and the logits.
      seed: seed of the initial weights and of dropout.

    Returns:
      A model from images [N, H, W, C] to logits [N, num_classes].

    Raises:
      ConfigError: a value out of range.

    Example:
      >>> strided_cnn().count_params()
      839018
    """
    require_number("dropout", dropout, at_least=0, below=1)
    require_number("weight_decay", weight_decay, at_least=0)
    require_seed(seed)
    decay = keras.regularizers.L2(weight_decay / 2) if weight_decay else None
    dense = {"kernel_regularizer": decay, "bias_regularizer": decay}
    layers, initial = keras.layers, Initializers(init, seed)
    strided = {"strides": 2, "padding": "same", "activation": "relu", **LAST}
    return keras.Sequential(
        [
            keras.Input(image_shape),
            layers.Conv2D(32, 4, **strided, **initial(0.1, 0.0)),
            layers.Conv2D(64, 4, **strided, **initial(0.1, 0.1)),
            layers.Flatten(**LAST),
            layers.Dense(256, activation="relu", **initial(0.1, 0.1), **dense),
            layers.Dropout(dropout, seed=seed),
            layers.Dense(num_classes, **initial(0.1, 0.1), **dense),
        ],
        name="strided_cnn",
    )
