"""From an attack network's raw output to images inside the ball and the box (section 4.1)."""

from collections.abc import Callable

import keras
from keras import ops

from mmtf.errors import require_choice
from mmtf.threat import ThreatModel

OUTPUTS = ("tanh", "normalized", "full")
# Of the raw output's mean square: an all-zero output stays all-zero instead of dividing by 0.
EPSILON = 1e-6
# tanh(3) = 0.995: a pixel of typical size spends its whole budget, a small one still learns.
FULL_GAIN = 3.0


def perturbed(
    images: keras.KerasTensor, raw: keras.KerasTensor, threat: ThreatModel, output: str
) -> keras.KerasTensor:
    """Keras tensors: images + a perturbation of norm at most eta made of `raw`, in the box.

    How `raw` is bounded in l-infinity (docs/attack_networks.md compares the three):

    - `tanh`: eta tanh(raw), which saturates as raw grows and then no longer learns.
    - `normalized`: eta tanh(raw / rms(raw)), with the root mean square over the pixels of one
      example, which cannot saturate everywhere, but spends only some 0.6 of the budget.
    - `full`: eta tanh(3 raw / rms(raw)), and the gradient passes the clip to the box as if it
      were not there, so that a pixel at the edge of the box can come back.

    In l2 `tanh` is eta raw / max(||raw||, 1) and the others are eta raw / ||raw||.

    Args:
      images: [N, H, W, C] in the box.
      raw: the network's last layer, of the same shape.
      threat: ball and box.
      output: one of the three.
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
        length = ops.sqrt(ops.sum(square, axes, keepdims=True) + EPSILON)
        delta = threat.radius * raw / (ops.maximum(length, 1.0) if output == "tanh" else length)
    moved = images + delta
    if output == "full":
        moved = moved + ops.stop_gradient(ops.clip(moved, *threat.box) - moved)
    # For `full` a formality: up to twice the box the difference above is exact (Sterbenz).
    return ops.clip(moved, *threat.box)


def attacker_model(
    raw_of: Callable[[keras.KerasTensor, keras.KerasTensor], keras.KerasTensor],
    image_shape: tuple[int, int, int],
    num_classes: int,
    threat: ThreatModel,
    output: str,
    name: str,
) -> keras.Model:
    """The Keras model (images, labels) -> perturbed images around raw_of(images, one_hot).

    Args:
      raw_of: Keras tensors images [N, H, W, C], one-hot labels [N, classes] -> raw [N, H, W, C].
      image_shape: (H, W, C).
      num_classes: number of labels.
      threat: ball and box.
      output: see `perturbed`.
      name: the model's.
    """
    images = keras.Input(image_shape, name="images")
    labels = keras.Input((), dtype="int32", name="labels")
    raw = raw_of(images, ops.one_hot(labels, num_classes))
    # Logits, and perturbations, in float32 whatever the layers compute in.
    raw = ops.cast(raw, "float32")
    return keras.Model([images, labels], perturbed(images, raw, threat, output), name=name)
