"""Trains one auto-encoder, or several jointly so that they differ (the pack of the grey box)."""

import dataclasses
from collections.abc import Sequence
from typing import Any

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
    inputs = keras.Input(x.shape[1:])
    noisy = keras.layers.GaussianNoise(settings.noise, seed=settings.seed)(inputs)
    noisy = keras.ops.clip(noisy, 0.0, 1.0)
    outputs = keras.ops.stack([one(noisy) for one in autoencoders], 1)
    joint = keras.Model(inputs, outputs)

    def loss(images: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
        return pack_loss(outputs, images, settings.diversity)

    rate = keras.optimizers.schedules.CosineDecay(settings.learning_rate, settings.steps)
    joint.compile(keras.optimizers.Adam(rate), _Loss(loss), jit_compile=False)
    shown = _Shown(settings.steps, label, progress)
    joint.fit(
        _batches(x, settings),
        steps_per_epoch=settings.steps,
        epochs=1,
        verbose=0,
        callbacks=[shown],
    )
    last = float(np.mean(shown.losses[-50:]))
    if not np.isfinite(last):
        raise ConfigError(
            f"Expected a finite loss of the {label}. Received: {last}. Give a smaller learning "
            "rate."
        )
    return last


def _batches(x: np.ndarray, settings: FitSettings) -> tf.data.Dataset:
    images = tf.constant((x + 1.0) / 2.0, tf.float32)
    rows = tf.data.Dataset.range(len(x)).shuffle(len(x), seed=settings.seed).repeat()
    batches = rows.batch(settings.batch_size, drop_remainder=True)

    def pair(numbers: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        chosen = tf.gather(images, numbers)
        return chosen, chosen

    return batches.map(pair).prefetch(2)


class _Loss(keras.losses.Loss):
    """A function of a whole batch as Keras' loss."""

    def __init__(self, function: Any):
        super().__init__(reduction="none")
        self.function = function

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> tf.Tensor:
        return self.function(y_true, y_pred)


class _Shown(keras.callbacks.Callback):
    """Keeps the loss of each step, and shows it."""

    def __init__(self, steps: int, label: str, progress: bool):
        super().__init__()
        self.losses: list[float] = []
        self._before = 0.0
        self._progress = Progress(steps, label=label) if progress else None

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        # Keras reports the mean of the epoch so far.
        total = (logs or {}).get("loss", float("nan")) * (batch + 1)
        self.losses.append(total - self._before)
        self._before = total
        if self._progress is not None:
            self._progress.update(batch + 1, {"loss": self.losses[-1]})

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        if self._progress is not None:
            self._progress.close()
