"""The attack network of the paper: fully connected, with the label as an input."""

import math

import keras
from keras import layers

from mmtf.nets.attack_outputs import attacker_model
from mmtf.nets.layout import LAST
from mmtf.threat import ThreatModel


def attack_mlp(
    threat: ThreatModel,
    *,
    image_shape: tuple[int, int, int] = (28, 28, 1),
    num_classes: int = 10,
    label: bool = True,
    width: int = 300,
    depth: int = 3,
    dropout: float = 0.5,
    layer_norm: bool = False,
    output: str = "tanh",
    seed: int = 0,
) -> keras.Model:
    """`depth` ReLU layers of `width` units on image and one-hot label, each with dropout.

    The defaults are the paper's (section 4.1, App. A): 3 x 300, label input, dropout 0.5.

    Args:
      threat: bounds the output.
      image_shape: (H, W, C).
      num_classes: number of labels.
      label: whether the network sees the label; without it, it must find out itself.
      width, depth: > 0.
      dropout: rate in [0, 1), with training=True only.
      layer_norm: normalize each hidden layer before its ReLU.
      output: see `attack_outputs.perturbed`.
      seed: seed of the initializers and of dropout.

    Example:
      >>> model = attack_mlp(ThreatModel(eta=0.3))
      >>> model([keras.ops.zeros([2, 28, 28, 1]), keras.ops.zeros([2], "int32")]).shape
      TensorShape([2, 28, 28, 1])
    """

    def initial(number):
        return keras.initializers.GlorotUniform(seed=1000 * seed + number)

    def raw_of(images, one_hot):
        hidden = layers.Flatten(**LAST)(images)
        if label:
            hidden = layers.Concatenate()([hidden, one_hot])
        for number in range(depth):
            hidden = layers.Dense(width, kernel_initializer=initial(number))(hidden)
            if layer_norm:
                hidden = layers.LayerNormalization()(hidden)
            hidden = layers.ReLU()(hidden)
            if dropout:
                hidden = layers.Dropout(dropout, seed=1000 * seed + number)(hidden)
        raw = layers.Dense(math.prod(image_shape), kernel_initializer=initial(depth))(hidden)
        return layers.Reshape(image_shape)(raw)

    return attacker_model(raw_of, image_shape, num_classes, threat, output, "attack_mlp")
