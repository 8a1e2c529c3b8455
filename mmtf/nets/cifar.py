"""The CIFAR-10 classifier of the paper.

It is the net of TensorFlow's CIFAR-10 tutorial without local response normalization.
"""

import keras

from mmtf.errors import require_number, require_seed
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
    """Two 5x5 convolutions of 64 channels, dense layers of 384 and 192 units, logits (App. B).

    Each convolution is followed by a max-pooling over 3x3 pixels with stride 2. The activations are
    ReLUs; those of the convolutions come after the pooling, which gives the same function.

    Args:
      image_shape: (H, W, C).
      num_classes: number of logits.
      init: initial weights. `tutorial`: kernels from truncated normal distributions (deviation 0.05
        in the convolutions, 0.04 in the dense layers, 1/192 in the logits), biases 0.1, but 0 in
        the first convolution and the logits. `keras`: Glorot uniform, biases 0.
      dropout: dropout rate after each dense layer, in [0, 1). The tutorial has none.
      weight_decay: w >= 0 of the regularization loss w * sum(k^2) / 2 over the kernels k of the
        dense layers. The tutorial has 4e-3; the paper mentions none.
      seed: seed of the initial weights and of dropout.

    Returns:
      A model from images [N, H, W, C] to logits [N, num_classes].

    Raises:
      ConfigError: a value out of range.

    Example:
      >>> cifar_cnn().output_shape
      (None, 10)
    """
    require_number("dropout", dropout, at_least=0, below=1)
    require_number("weight_decay", weight_decay, at_least=0)
    require_seed(seed)
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
