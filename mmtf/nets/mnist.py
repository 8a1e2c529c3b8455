"""The MNIST classifier of the paper: the TensorFlow tutorial's convolutional net."""

import keras

from mmtf.errors import require
from mmtf.nets.initializers import Initializers
from mmtf.nets.layout import LAST

TUTORIAL_WEIGHT_DECAY = 5e-4


def mnist_cnn(
    *,
    image_shape: tuple[int, int, int] = (28, 28, 1),
    num_classes: int = 10,
    init: str = "keras",
    dropout: float = 0.5,
    weight_decay: float = 0.0,
    seed: int = 0,
) -> keras.Model:
    """conv 5x5x32, pool, conv 5x5x64, pool, dense 512, dropout, logits (App. A, footnote 2).

    The pools come before the ReLUs: both orders give the same function, this one rectifies a
    quarter of the values.

    Args:
      image_shape: (H, W, C).
      num_classes: number of logits.
      init: `tutorial` (truncated normal 0.1; biases 0, then 0.1) or `keras` (Glorot).
      dropout: rate in [0, 1), active with training=True only.
      weight_decay: L2 on the dense layers' kernels and biases, as w * sum(k^2) / 2. The tutorial
        has 5e-4, the paper mentions none.
      seed: seed of the initializers and of dropout.

    Example:
      >>> mnist_cnn().count_params()
      1663370
    """
    require(0 <= dropout < 1, "0 <= dropout < 1", dropout)
    require(0 <= weight_decay < float("inf"), "weight_decay >= 0, finite", weight_decay)
    layers = keras.layers
    initial = Initializers(init, seed)
    decay = keras.regularizers.L2(weight_decay / 2) if weight_decay else None
    dense = {"kernel_regularizer": decay, "bias_regularizer": decay}
    return keras.Sequential(
        [
            keras.Input(image_shape),
            layers.Conv2D(32, 5, padding="same", **LAST, **initial(0.1, 0.0)),
            layers.MaxPooling2D(2, padding="same", **LAST),
            layers.ReLU(),
            layers.Conv2D(64, 5, padding="same", **LAST, **initial(0.1, 0.1)),
            layers.MaxPooling2D(2, padding="same", **LAST),
            layers.ReLU(),
            layers.Flatten(**LAST),
            layers.Dense(512, activation="relu", **initial(0.1, 0.1), **dense),
            layers.Dropout(dropout, seed=seed),
            layers.Dense(num_classes, **initial(0.1, 0.1), **dense),
        ],
        name="mnist_cnn",
    )
