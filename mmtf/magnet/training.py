"""Trains one auto-encoder, or several jointly so that they differ (the pack of the gray box)."""

import dataclasses
import functools
from collections.abc import Iterator, Sequence

import keras
import numpy as np
import tensorflow as tf

from mmtf.errors import ConfigError, require, require_int, require_number, require_seed
from mmtf.training.progress import Progress


@dataclasses.dataclass(frozen=True, kw_only=True)
class FitSettings:
    """How auto-encoders are trained.

    Attributes:
      steps: number of batches, > 0. The authors train 100 epochs.
      batch_size: > 0. The authors have 256.
      learning_rate: of Adam at the first step, > 0, decaying to 0 as a cosine.
      noise: deviation of the Gaussian noise on the inputs, pixels in [0, 1], >= 0.
      diversity: weight of the differences between auto-encoders that are trained jointly, >= 0.
      seed: of batches and noise.
    """

    steps: int = 1500
    batch_size: int = 64
    learning_rate: float = 5e-3
    noise: float = 0.1
    diversity: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        require_int("steps", self.steps)
        require_int("batch_size", self.batch_size)
        require_number("learning_rate", self.learning_rate, above=0)
        require_number("noise", self.noise, at_least=0)
        require_number("diversity", self.diversity, at_least=0)
        require_seed(self.seed)


def pack_loss(outputs: tf.Tensor, images: tf.Tensor, diversity: float) -> tf.Tensor:
    """mean_i [MSE(AE_i(x), x) - diversity MSE(AE_i(x), mean_j AE_j(x))], a number.

    Args:
      outputs: of the auto-encoders AE_i, float32 [N, auto-encoders, H, W, C].
      images: x, float32 [N, H, W, C].
      diversity: >= 0.

    Source: Meng & Chen (2017), Eq. 5; their released code has 0.2.

    Example:
      >>> outputs = tf.constant([0.0, 1.0], shape=[1, 2, 1, 1, 1])
      >>> float(pack_loss(outputs, tf.zeros([1, 1, 1, 1]), 0.2))  # 1/2 - 0.2 / 4
      0.44999998807907104
    """
    error = tf.reduce_mean((outputs - images[:, None]) ** 2)
    spread = tf.reduce_mean((outputs - tf.reduce_mean(outputs, 1, keepdims=True)) ** 2)
    return error - diversity * spread


def train_autoencoders(
    autoencoders: Sequence[keras.Model],
    x: np.ndarray,
    settings: FitSettings,
    *,
    label: str = "auto-encoder",
    progress: bool = False,
) -> float:
    """Trains auto-encoders in place to restore images from noisy ones.

    All see the same noisy batch and share one optimizer step on `pack_loss` plus the activity
    penalties of their layers.

    Args:
      autoencoders: models of pixels in [0, 1], at least one.
      x: training images, float32 [n, H, W, C] in [-1, 1]; without those held out for thresholds.
      settings: see `FitSettings`.
      label: shown with the progress.
      progress: whether progress is shown on stderr.

    Returns:
      The mean loss of the last 50 steps.

    Raises:
      ConfigError: no model, no images, or a loss that is not finite.
    """
    require(len(autoencoders) > 0, "at least one auto-encoder", autoencoders)
    require(len(x) > 0, "at least one training image", len(x))
    rate = keras.optimizers.schedules.CosineDecay(float(settings.learning_rate), settings.steps)
    optimizer = keras.optimizers.Adam(rate)
    optimizer.build([one for model in autoencoders for one in model.trainable_variables])
    # A partial, because TensorFlow counts traces per line of code and would warn.
    call = functools.partial(_step, list(autoencoders), optimizer, settings)
    step = tf.function(call, autograph=False)
    images = tf.constant((x + 1.0) / 2.0, tf.float32)
    bar = Progress(settings.steps, label=label) if progress else None
    losses = []
    for number, rows in enumerate(_batches(len(x), settings)):
        losses.append(float(step(tf.gather(images, rows), tf.constant([settings.seed, number]))))
        if bar is not None:
            bar.update(number + 1, {"loss": losses[-1]})
    if bar is not None:
        bar.close()
    last = float(np.mean(losses[-50:]))
    if not np.isfinite(last):
        raise ConfigError(
            f"Expected a finite loss of the {label}. Received: {last}. Give a smaller learning "
            "rate."
        )
    return last


def _batches(count: int, settings: FitSettings) -> Iterator[np.ndarray]:
    """The rows of each batch: epochs in random order, without what is left over."""
    size = min(settings.batch_size, count)
    rng, given = np.random.default_rng(settings.seed), 0
    while True:
        order = rng.permutation(count)
        for start in range(0, count - size + 1, size):
            if given == settings.steps:
                return
            given += 1
            yield order[start : start + size]


def _step(
    models: list[keras.Model],
    optimizer: keras.optimizers.Optimizer,
    settings: FitSettings,
    images: tf.Tensor,
    seed: tf.Tensor,
) -> tf.Tensor:
    """Takes a step on a batch of pixels in [0, 1]; returns the loss before it."""
    noise = settings.noise * tf.random.stateless_normal(tf.shape(images), seed)
    noisy = tf.clip_by_value(images + noise, 0.0, 1.0)
    variables = [one for model in models for one in model.trainable_variables]
    with tf.GradientTape() as tape:
        outputs = tf.stack([model(noisy, training=True) for model in models], 1)
        penalties = [tf.convert_to_tensor(one) for model in models for one in model.losses]
        loss = pack_loss(outputs, images, settings.diversity) + tf.add_n([0.0, *penalties])
    gradients = tape.gradient(loss, [one.value for one in variables])
    optimizer.apply(gradients, variables)
    return loss
