"""The rows of a training split that are held out."""

import numpy as np


def holdout_rows(size: int, count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(rows that stay in the training split, ascending; `count` rows drawn at random).

    Args:
      size: number of training examples.
      count: in (0, size).
      seed: of the draw.

    Example:
      >>> stay, held_out = holdout_rows(5, 2)
      >>> sorted([*stay, *held_out]) == list(range(5))
      True
    """
    order = np.random.default_rng(seed).permutation(size)
    return np.sort(order[count:]), order[:count]
