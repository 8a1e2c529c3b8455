"""A convolutional attack network."""

import keras
from keras import layers, ops

from mmtf.errors import require_int
from mmtf.nets.attack_outputs import attacker_model
from mmtf.nets.layout import LAST
from mmtf.threat import ThreatModel


def attack_conv(
    threat: ThreatModel,
    *,
    image_shape: tuple[int, int, int] = (28, 28, 1),
    num_classes: int = 10,
    label: bool = True,
    width: int = 32,
    depth: int = 3,
    layer_norm: bool = False,
    output: str = "tanh",
    seed: int = 0,
) -> keras.Model:
    """`depth` 5x5 convolutions of `width` channels at full resolution, then one to the raw output.

    Args:
      threat: the ball and the box of the output.
      image_shape: (H, W, C).
      num_classes: number of classes.
      label: whether the network sees the label: each hidden layer then has one bias per class and
        channel.
      width: number of channels of each hidden layer, > 0.
      depth: number of hidden layers, > 0.
      layer_norm: whether to normalize each pixel over the channels before each ReLU.
      output: how the raw output is bounded, see `mmtf.nets.attack_outputs.perturbed`.
      seed: seed of the initial weights.

    Returns:
      A model from [images, labels int32 [N]] to adversarial examples float32 [N, H, W, C].
    """

    require_int("width", width)
    require_int("depth", depth)

    def initial(number):
        return keras.initializers.GlorotUniform(seed=1000 * seed + number)

    def raw_of(images, one_hot):
        hidden = images
        for number in range(depth):
            hidden = layers.Conv2D(
                width, 5, padding="same", **LAST, kernel_initializer=initial(number)
            )(hidden)
            if label:
                shift = layers.Dense(width, use_bias=False, kernel_initializer=initial(50 + number))
                hidden = hidden + ops.reshape(shift(one_hot), (-1, 1, 1, width))
            if layer_norm:
                hidden = layers.LayerNormalization()(hidden)
            hidden = layers.ReLU()(hidden)
        last = layers.Conv2D(
            image_shape[-1], 5, padding="same", **LAST, kernel_initializer=initial(depth)
        )
        return last(hidden)

    return attacker_model(raw_of, image_shape, num_classes, threat, output, "attack_conv")
