"""The attack network of the paper: a fully connected net of the image and its label."""

import math

import keras
from keras import layers

from mmtf.errors import require_int, require_number
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
    """`depth` dense layers of `width` ReLUs, each with dropout, then one to the raw output.

    The defaults are the paper's (section 4.1, App. A): three layers of 300 units, the label as an
    input, dropout 0.5.

    Args:
      threat: the ball and the box of the output.
      image_shape: (H, W, C).
      num_classes: number of classes.
      label: whether the one-hot label is an input beside the image.
      width: units of each hidden layer, > 0.
      depth: number of hidden layers, > 0.
      dropout: dropout rate, in [0, 1).
      layer_norm: whether to normalize each hidden layer before its ReLU.
      output: how the raw output is bounded, see `mmtf.nets.attack_outputs.perturbed`.
      seed: seed of the initial weights and of dropout.

    Returns:
      A model from [images, labels int32 [N]] to adversarial examples float32 [N, H, W, C].

    Example:
      >>> model = attack_mlp(ThreatModel(eta=0.3))
      >>> model([keras.ops.zeros([2, 28, 28, 1]), keras.ops.zeros([2], "int32")]).shape
      TensorShape([2, 28, 28, 1])
    """

    require_int("width", width)
    require_int("depth", depth)
    require_number("dropout", dropout, at_least=0, below=1)

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
