"""Classifiers whose convolutions have strides in place of max-pooling: cheap to certify."""

import math

import keras

from mmtf.errors import require_bool, require_choice, require_int, require_number, require_seed
from mmtf.nets.layout import LAST

INITIAL_WEIGHTS = ("keras", "ibp")


def strided_cnn(
    *,
    image_shape: tuple[int, int, int] = (28, 28, 1),
    num_classes: int = 10,
    width: int = 16,
    hidden: int = 100,
    init: str = "keras",
    seed: int = 0,
) -> keras.Model:
    """Two 4x4 convolutions with stride 2, a dense layer, logits; ReLUs between.

    Args:
      image_shape: (H, W, C).
      num_classes: number of logits.
      width: channels of the first convolution, > 0; the second has twice as many.
      hidden: units of the dense layer, > 0.
      init: initial weights. `keras`: Glorot uniform. `ibp`: normal with the deviation
        sqrt(2 pi) / n for n inputs, which keeps interval bounds narrow (Shi et al. 2021).
      seed: seed of the initial weights.

    Returns:
      A model from images [N, H, W, C] to logits [N, num_classes].

    Raises:
      ConfigError: a value out of range.

    Example:
      >>> strided_cnn().count_params()
      166406
    """
    _require(width, hidden, init, seed)
    layers = _strided_layers(image_shape, num_classes, width, hidden, _Initial(init, seed))
    return keras.Sequential([keras.Input(image_shape), *layers], name="strided_cnn")


def clipped_cnn(
    *,
    image_shape: tuple[int, int, int] = (28, 28, 1),
    num_classes: int = 10,
    clip: float = 0.4,
    width: int = 16,
    hidden: int = 100,
    init: str = "keras",
    seed: int = 0,
) -> keras.Model:
    """`strided_cnn` behind a learned clip of the pixels: for images of black and white regions.

    Two layers on each pixel, relu(1 - relu(1 - u)) of u = (x + clip) / (2 clip), are the function
    clip(u, 0, 1). Their weights are trained like all others. A pixel that stays beyond the clip's
    ends in the whole ball then does not change what follows, so that on digits most of an attack
    is without effect, provably: intervals of a monotone function of one pixel are exact.

    The gradient with respect to a clipped pixel is 0. A game whose attack starts at the image
    itself (FGSM, TRADES) can therefore learn to hide from its own attack: trained by `lwa` at eta
    0.3, it erred on 6.6 % of 1,000 MNIST images under FGSM and on 33.9 % under PGD. Train it by
    games that start at a random point of the ball (`adv_pgd`, `mtl_ibp`), and measure it with PGD.

    Args:
      image_shape, num_classes, width, hidden, init, seed: see `strided_cnn`.
      clip: initially pixels are clipped to [-clip, clip], > 0. A black pixel (-1) stays clipped
        within eta if clip <= 1 - eta.

    Returns:
      A model from images [N, H, W, C] to logits [N, num_classes].

    Raises:
      ConfigError: a value out of range.

    Example:
      >>> clipped_cnn().count_params()
      166410
    """
    _require(width, hidden, init, seed)
    require_number("clip", clip, above=0)
    layers = _strided_layers(image_shape, num_classes, width, hidden, _Initial(init, seed))
    clipping = [_pixelwise(-0.5 / clip, 0.5), _pixelwise(-1.0, 1.0)]
    return keras.Sequential([keras.Input(image_shape), *clipping, *layers], name="clipped_cnn")


def cnn7(
    *,
    image_shape: tuple[int, int, int] = (28, 28, 1),
    num_classes: int = 10,
    width: int = 64,
    hidden: int = 512,
    batch_norm: bool = True,
    init: str = "ibp",
    seed: int = 0,
) -> keras.Model:
    """Five 3x3 convolutions, the third with stride 2, a dense layer, logits (CNN7 of Shi et al.).

    Each convolution, and the dense layer, is followed by BatchNormalization and a ReLU. The
    convolutions have width, width, 2 width, 2 width and 2 width channels.

    Args:
      image_shape, num_classes, seed: see `strided_cnn`.
      width: channels of the first convolution, > 0.
      hidden: units of the dense layer, > 0.
      batch_norm: whether there is BatchNormalization.
      init: `ibp` or `keras`, see `strided_cnn`.

    Returns:
      A model from images [N, H, W, C] to logits [N, num_classes].

    Raises:
      ConfigError: a value out of range.

    Example:
      >>> cnn7(width=4, hidden=8).output_shape
      (None, 10)
    """
    require_bool("batch_norm", batch_norm)
    _require(width, hidden, init, seed)
    layers, initial = keras.layers, _Initial(init, seed)
    model = keras.Sequential([keras.Input(image_shape)], name="cnn7")
    height, breadth, channels = image_shape
    for factor, stride in ((1, 1), (1, 1), (2, 2), (2, 1), (2, 1)):
        kernel = initial(9 * channels)
        channels = factor * width
        model.add(layers.Conv2D(channels, 3, stride, "same", **LAST, **kernel))
        _add_normalized_relu(model, batch_norm)
    model.add(layers.Flatten(**LAST))
    values = channels * -(-height // 2) * -(-breadth // 2)
    model.add(layers.Dense(hidden, **initial(values)))
    _add_normalized_relu(model, batch_norm)
    model.add(layers.Dense(num_classes, **initial(hidden)))
    return model


def _strided_layers(image_shape, num_classes, width, hidden, initial):
    layers = keras.layers
    height, breadth, channels = image_shape
    values = 2 * width * -(-height // 4) * -(-breadth // 4)
    return [
        layers.Conv2D(width, 4, 2, "same", activation="relu", **LAST, **initial(16 * channels)),
        layers.Conv2D(2 * width, 4, 2, "same", activation="relu", **LAST, **initial(16 * width)),
        layers.Flatten(**LAST),
        layers.Dense(hidden, activation="relu", **initial(values)),
        layers.Dense(num_classes, **initial(hidden)),
    ]


def _pixelwise(slope, bias):
    """relu(slope * x + bias) of each channel of each pixel."""
    constant = keras.initializers.Constant
    return keras.layers.DepthwiseConv2D(
        1,
        activation="relu",
        depthwise_initializer=constant(slope),
        bias_initializer=constant(bias),
        **LAST,
    )


class _Initial:
    """Gives each layer in turn its initializer, with a seed of its own."""

    def __init__(self, kind, seed):
        self._kind = kind
        self._seed = 1000 * seed

    def __call__(self, inputs):
        """Keyword arguments of the next layer, each of whose outputs has `inputs` inputs."""
        self._seed += 1
        if self._kind == "keras":
            return {"kernel_initializer": keras.initializers.GlorotUniform(seed=self._seed)}
        deviation = math.sqrt(2 * math.pi) / inputs
        return {"kernel_initializer": keras.initializers.RandomNormal(0.0, deviation, self._seed)}


def _add_normalized_relu(model, batch_norm):
    if batch_norm:
        model.add(keras.layers.BatchNormalization())
    model.add(keras.layers.ReLU())


def _require(width, hidden, init, seed):
    require_int("width", width)
    require_int("hidden", hidden)
    require_choice("init", init, INITIAL_WEIGHTS)
    require_seed(seed)
