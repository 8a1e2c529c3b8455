"""Bounds the output of an attack network to the ball and the box (section 4.1 of the paper)."""

from collections.abc import Callable

import keras
from keras import ops

from mmtf.errors import require_choice
from mmtf.threat import ThreatModel

OUTPUTS = ("tanh", "normalized", "full")
# Added to the mean square of the raw output: avoids 0 / 0 where the output is all zero.
EPSILON = 1e-6
# tanh(3) = 0.995: a raw value of size rms uses nearly all of eta, and the gradient of smaller ones
# does not vanish.
FULL_GAIN = 3.0


def perturbed(
    images: keras.KerasTensor, raw: keras.KerasTensor, threat: ThreatModel, output: str
) -> keras.KerasTensor:
    """Adds a perturbation of norm at most eta, computed from `raw`, and clips to the box.

    The perturbation in l-infinity, with rms the root mean square over the pixels of one example
    (docs/attack_networks.md compares the three):

    - `tanh`: eta tanh(raw). Its gradient vanishes as |raw| grows.
    - `normalized`: eta tanh(raw / rms(raw)). It cannot saturate at all pixels, but the mean
      perturbation is only about 0.6 eta.
    - `full`: eta tanh(3 raw / rms(raw)). The gradient ignores the clip to the box, so pixels at the
      border of the box keep a gradient.

    In l2, `tanh` is eta raw / max(||raw||_2, 1), and the two others are eta raw / ||raw||_2; in l1
    the same with ||raw||_1.

    Args:
      images: Keras tensor [N, H, W, C], pixels in the box.
      raw: Keras tensor of the same shape, the output of the network's last layer.
      threat: the ball and the box.
      output: `tanh`, `normalized` or `full`.

    Returns:
      A Keras tensor of the same shape: the adversarial examples.

    Raises:
      ConfigError: another `output`.
    """
    require_choice("output", output, OUTPUTS)
    square = ops.square(raw)
    axes = tuple(range(1, len(raw.shape)))
    if threat.norm == "linf":
        if output != "tanh":
            gain = FULL_GAIN if output == "full" else 1.0
            raw = raw * (gain * ops.rsqrt(ops.mean(square, axes, keepdims=True) + EPSILON))
        # tanh of a large float32 rounds to 1: eta is reached and never passed.
        delta = ops.tanh(raw) * threat.radii
    else:
        if threat.norm == "l1":
            length = ops.sum(ops.abs(raw), axes, keepdims=True) + EPSILON
        else:
            length = ops.sqrt(ops.sum(square, axes, keepdims=True) + EPSILON)
        delta = threat.radius * raw / (ops.maximum(length, 1.0) if output == "tanh" else length)
    moved = images + delta
    if output == "full":
        moved = moved + ops.stop_gradient(ops.clip(moved, *threat.box) - moved)
    # For `full` the images are already clipped, up to rounding.
    return ops.clip(moved, *threat.box)


def attacker_model(
    raw_of: Callable[[keras.KerasTensor, keras.KerasTensor], keras.KerasTensor],
    image_shape: tuple[int, int, int],
    num_classes: int,
    threat: ThreatModel,
    output: str,
    name: str,
) -> keras.Model:
    """Builds the Keras model of an attack network from a function that gives its raw output.

    Args:
      raw_of: function of two Keras tensors, images [N, H, W, C] and one-hot labels
        [N, num_classes], that returns the raw output [N, H, W, C].
      image_shape: (H, W, C).
      num_classes: number of classes.
      threat: the ball and the box.
      output: how the raw output is bounded, see `perturbed`.
      name: name of the model.

    Returns:
      A model from [images, labels int32 [N]] to adversarial examples float32 [N, H, W, C].
    """
    images = keras.Input(image_shape, name="images")
    labels = keras.Input((), dtype="int32", name="labels")
    raw = raw_of(images, ops.one_hot(labels, num_classes))
    # Perturbations are in float32 even where the layers compute in bfloat16.
    raw = ops.cast(raw, "float32")
    return keras.Model([images, labels], perturbed(images, raw, threat, output), name=name)
