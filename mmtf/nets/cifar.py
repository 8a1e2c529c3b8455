"""The CIFAR-10 classifier of the paper: the tutorial net without response normalization."""

import keras

from mmtf.errors import require
from mmtf.nets.initializers import Initializers
from mmtf.nets.layout import LAST

TUTORIAL_WEIGHT_DECAY = 4e-3


def cifar_cnn(
    *,
    image_shape: tuple[int, int, int] = (32, 32, 3),
    num_classes: int = 10,
    init: str = "keras",
    dropout: float = 0.0,
    weight_decay: float = 0.0,
    seed: int = 0,
) -> keras.Model:
    """conv 5x5x64, pool 3/2, conv 5x5x64, pool 3/2, dense 384, dense 192, logits (App. B).

    Args:
      image_shape: (H, W, C).
      num_classes: number of logits.
      init: `tutorial` (truncated normal 0.05 in convolutions, 0.04 in dense layers, 1/192 in the
        logits; biases 0 in the first convolution and the logits, else 0.1) or `keras` (Glorot).
      dropout: rate in [0, 1) after each dense layer, with training=True only; the tutorial has
        none.
      weight_decay: L2 on the dense layers' kernels, as w * sum(k^2) / 2. The tutorial has 4e-3,
        the paper mentions none.
      seed: seed of the initializers and of dropout.

    Example:
      >>> cifar_cnn().output_shape
      (None, 10)
    """
    require(0 <= dropout < 1, "0 <= dropout < 1", dropout)
    require(0 <= weight_decay < float("inf"), "weight_decay >= 0, finite", weight_decay)
    layers = keras.layers
    initial = Initializers(init, seed)
    decay = keras.regularizers.L2(weight_decay / 2) if weight_decay else None
    return keras.Sequential(
        [
            keras.Input(image_shape),
            layers.Conv2D(64, 5, padding="same", **LAST, **initial(0.05, 0.0)),
            layers.MaxPooling2D(3, 2, padding="same", **LAST),
            layers.ReLU(),
            layers.Conv2D(64, 5, padding="same", **LAST, **initial(0.05, 0.1)),
            layers.MaxPooling2D(3, 2, padding="same", **LAST),
            layers.ReLU(),
            layers.Flatten(**LAST),
            layers.Dense(384, activation="relu", kernel_regularizer=decay, **initial(0.04, 0.1)),
            layers.Dropout(dropout, seed=seed),
            layers.Dense(192, activation="relu", kernel_regularizer=decay, **initial(0.04, 0.1)),
            layers.Dropout(dropout, seed=seed + 1),
            layers.Dense(num_classes, **initial(1 / 192, 0.0)),
        ],
        name="cifar_cnn",
    )
