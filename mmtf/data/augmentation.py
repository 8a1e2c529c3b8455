"""Random crops and flips of training images, as functions of the seed and the step."""

import tensorflow as tf

# A crop shifts an image by at most its side divided by this: 4 of 32 pixels.
SHARE = 8


class Augmentation:
    """Shifts and mirrors images; what happens to an image depends on (seed, step, position) alone.

    A crop of an image whose borders were continued by reflection is the image shifted by up to an
    eighth of its height and width, uniformly. Pixels are moved, never computed, so that images stay
    in the box.

    Args:
      words: of `mmtf.schedule.AUGMENTATIONS`: `crop`, `flip`.
      seed: in [0, 2^31).
      batch_size: examples per step over all replicas.

    Example:
      >>> change = Augmentation(("flip",), seed=0, batch_size=4)
      >>> x = tf.reshape(tf.range(2.0), [1, 1, 2, 1]) * tf.ones([4, 1, 1, 1])
      >>> change(x, step=0, start=0)[:, 0, 0, 0].numpy().tolist()
      [0.0, 0.0, 0.0, 1.0]
    """

    def __init__(self, words: tuple[str, ...], *, seed: int, batch_size: int):
        self.words, self.seed, self.batch_size = words, seed, batch_size

    def __call__(self, images: tf.Tensor, step: tf.Tensor, start: tf.Tensor) -> tf.Tensor:
        """Changes the images of a replica.

        Args:
          images: float [n, H, W, C], n known.
          step: number of the training step, int32 scalar.
          start: position of the first image in the batch of the step.
        """
        count, height, width, _ = images.shape
        # Philox: the same numbers on all devices and in XLA's programs. Drawn for the whole batch,
        # so that they do not depend on the number of replicas.
        seed = tf.stack([tf.constant(self.seed, tf.int32), tf.cast(step, tf.int32)])
        drawn = tf.random.stateless_uniform([self.batch_size, 3], seed, alg="philox")
        drawn = tf.slice(drawn, tf.stack([tf.cast(start, tf.int32), 0]), [count, 3])
        rows = tf.tile(tf.range(height)[None, :], [count, 1])
        columns = tf.tile(tf.range(width)[None, :], [count, 1])
        if "crop" in self.words:
            rows = _reflected(rows + _shift(drawn[:, :1], height), height)
            columns = _reflected(columns + _shift(drawn[:, 1:2], width), width)
        if "flip" in self.words:
            columns = tf.where(drawn[:, 2:] < 0.5, width - 1 - columns, columns)
        moved = tf.gather(images, rows, axis=1, batch_dims=1)
        return tf.gather(moved, columns, axis=2, batch_dims=1)


def _shift(drawn: tf.Tensor, side: int) -> tf.Tensor:
    """Whole numbers in [-p, p], p the eighth of the side, from uniform ones in [0, 1)."""
    most = side // SHARE
    return tf.cast(tf.floor(drawn * (2 * most + 1)), tf.int32) - most


def _reflected(index: tf.Tensor, side: int) -> tf.Tensor:
    """Pixel numbers in [0, side) of ones beyond the borders, without repeating the border."""
    index = tf.abs(index)
    return tf.where(index < side, index, 2 * (side - 1) - index)
