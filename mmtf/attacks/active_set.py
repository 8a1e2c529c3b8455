"""Examples leave a block as they fall, so that later iterations cost less."""

import contextlib
import contextvars

import numpy as np
import tensorflow as tf

# Fewer examples than this share of the block still stand: the others leave it. Taking them out
# costs a tenth of a step of PGD on 500 images, the first step of a new size included.
COMPACT_BELOW = 0.97
_WATCHER = contextvars.ContextVar("watcher", default=None)


@contextlib.contextmanager
def watching(watcher):
    """While open, `watcher(standing)` is told after every iteration how many examples stand."""
    token = _WATCHER.set(watcher)
    try:
        yield
    finally:
        _WATCHER.reset(token)


class Standing:
    """Which examples of a block are still classified correctly, in an eager loop.

    Args:
      images: [N, H, W, C], the result for examples of which nothing else is said.
    """

    def __init__(self, images):
        self.result = np.array(images)
        self.rows = np.arange(len(self.result))
        self._here = np.ones(len(self.rows), bool)

    def note(self, images, wrong) -> None:
        """Keeps the images of examples that have fallen just now.

        Args:
          images: [n, H, W, C] of the examples in the block.
          wrong: bool [n].
        """
        fell = self._here & np.asarray(wrong)
        if fell.any():
            self.result[self.rows[fell]] = np.asarray(images)[fell]
            self._here &= ~fell

    @property
    def anyone(self) -> bool:
        return bool(self._here.any())

    def compact(self, *tensors) -> list:
        """The tensors [n, ...] without the fallen, once there are enough of these.

        Called once in every iteration.
        """
        if watcher := _WATCHER.get():
            watcher(int(self._here.sum()))
        if self._here.mean() >= COMPACT_BELOW:
            return list(tensors)
        kept = [tf.boolean_mask(tensor, self._here) for tensor in tensors]
        self.rows = self.rows[self._here]
        self._here = np.ones(len(self.rows), bool)
        return kept

    def finish(self, images):
        """All results, with `images` [n, H, W, C] for those that still stand."""
        self.result[self.rows[self._here]] = np.asarray(images)[self._here]
        return tf.constant(self.result)
