"""An encoder-decoder attack network (U-Net), the strongest of the attack networks here."""

import keras
from keras import layers, ops

from mmtf.errors import require_int
from mmtf.nets.attack_outputs import attacker_model
from mmtf.nets.layout import LAST
from mmtf.threat import ThreatModel


def attack_unet(
    threat: ThreatModel,
    *,
    image_shape: tuple[int, int, int] = (28, 28, 1),
    num_classes: int = 10,
    label: bool = True,
    width: int = 32,
    bottleneck: int = 100,
    layer_norm: bool = True,
    output: str = "full",
    seed: int = 0,
) -> keras.Model:
    """A U-Net: two strided convolutions, a dense bottleneck, two transposed convolutions.

    Skip connections pass the output of each strided convolution to the transposed convolution of
    the same resolution.

    Args:
      threat: the ball and the box of the output.
      image_shape: (H, W, C).
      num_classes: number of classes.
      label: whether the network sees the label: each hidden layer then has one bias per class and
        channel.
      width: number of channels at half the resolution, > 0; at a quarter there are twice as many.
      bottleneck: units of the dense layer, > 0.
      layer_norm: whether to normalize over the channels before each ReLU.
      output: how the raw output is bounded, see `mmtf.nets.attack_outputs.perturbed`.
      seed: seed of the initial weights.

    Returns:
      A model from [images, labels int32 [N]] to adversarial examples float32 [N, H, W, C].

    Example:
      >>> model = attack_unet(ThreatModel(eta=0.3))
      >>> model([keras.ops.zeros([2, 28, 28, 1]), keras.ops.zeros([2], "int32")]).shape
      TensorShape([2, 28, 28, 1])
    """
    require_int("width", width)
    require_int("bottleneck", bottleneck)
    seeds = iter(range(1000 * seed, 1000 * (seed + 1)))

    def initial():
        return {"kernel_initializer": keras.initializers.GlorotUniform(seed=next(seeds))}

    def rectified(hidden, one_hot):
        channels = hidden.shape[-1]
        if layer_norm:
            hidden = layers.LayerNormalization()(hidden)
        if label:
            shift = layers.Dense(channels, use_bias=False, **initial())(one_hot)
            hidden = hidden + ops.reshape(shift, (-1, *[1] * (len(hidden.shape) - 2), channels))
        return layers.ReLU()(hidden)

    def down(hidden, channels):
        return layers.Conv2D(channels, 5, strides=2, padding="same", **LAST, **initial())(hidden)

    def up(hidden, channels, size):
        hidden = layers.Conv2DTranspose(
            channels, 5, strides=2, padding="same", **LAST, **initial()
        )(hidden)
        # A strided convolution rounds an odd size up.
        extra = [(0, have - want) for have, want in zip(hidden.shape[1:3], size, strict=True)]
        return layers.Cropping2D(extra, **LAST)(hidden) if any(map(any, extra)) else hidden

    def raw_of(images, one_hot):
        half = rectified(down(images, width), one_hot)
        quarter = rectified(down(half, 2 * width), one_hot)
        whole = layers.Dense(bottleneck, **initial())(layers.Flatten(**LAST)(quarter))
        whole = rectified(whole, one_hot)
        size = quarter.shape[1] * quarter.shape[2] * quarter.shape[3]
        spread = layers.Reshape(quarter.shape[1:])(layers.Dense(size, **initial())(whole))
        hidden = layers.Concatenate()([rectified(spread, one_hot), quarter])
        hidden = rectified(up(hidden, width, half.shape[1:3]), one_hot)
        hidden = layers.Concatenate()([hidden, half])
        return up(hidden, image_shape[-1], image_shape[:2])

    return attacker_model(raw_of, image_shape, num_classes, threat, output, "attack_unet")
