"""The MNIST classifier of the paper: the convolutional net of TensorFlow's MNIST tutorial."""

import keras

from mmtf.errors import require_number, require_seed
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
    """Two 5x5 convolutions of 32 and 64 channels, a dense layer of 512 units, logits (App. A).

    Each convolution is followed by a max-pooling over 2x2 pixels, then a ReLU. A ReLU before the
    pooling gives the same function but computes four times as many values. The dense layer has a
    ReLU and dropout.

    Args:
      image_shape: (H, W, C).
      num_classes: number of logits.
      init: initial weights. `tutorial`: kernels from a truncated normal distribution of deviation
        0.1, biases 0 in the first layer and 0.1 in the others. `keras`: Glorot uniform, biases 0.
      dropout: dropout rate after the dense layer, in [0, 1).
      weight_decay: w >= 0 of the regularization loss w * sum(k^2) / 2 over the kernels and biases k
        of the dense layer and the logits. The tutorial has 5e-4; the paper mentions none.
      seed: seed of the initial weights and of dropout.

    Returns:
      A model from images [N, H, W, C] to logits [N, num_classes].

    Raises:
      ConfigError: a value out of range.

    Example:
      >>> mnist_cnn().count_params()
      1663370
    """
    require_number("dropout", dropout, at_least=0, below=1)
    require_number("weight_decay", weight_decay, at_least=0)
    require_seed(seed)
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
