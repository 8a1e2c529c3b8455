"""Universal perturbations as an attack network: one for each class, or one for all."""

import math

import keras
from keras import layers, ops

from mmtf.nets.attack_outputs import attacker_model
from mmtf.threat import ThreatModel


def attack_universal(
    threat: ThreatModel,
    *,
    image_shape: tuple[int, int, int] = (28, 28, 1),
    num_classes: int = 10,
    label: bool = True,
    output: str = "tanh",
    seed: int = 0,
) -> keras.Model:
    """z = x + delta[label]: a learned perturbation that does not depend on the image.

    Args:
      threat: the ball and the box of the output.
      image_shape: (H, W, C).
      num_classes: number of classes.
      label: whether there is one perturbation for each class; else there is one for all.
      output: how the raw output is bounded, see `mmtf.nets.attack_outputs.perturbed`.
      seed: seed of the initial perturbations.

    Returns:
      A model from [images, labels int32 [N]] to adversarial examples float32 [N, H, W, C].
    """

    def raw_of(images, one_hot):
        keys = one_hot if label else ops.ones_like(one_hot[:, :1])
        patterns = layers.Dense(
            math.prod(image_shape),
            use_bias=False,
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.1, seed=seed),
        )
        return layers.Reshape(image_shape)(patterns(keys))

    return attacker_model(raw_of, image_shape, num_classes, threat, output, "attack_universal")
