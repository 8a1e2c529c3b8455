"""Test examples drawn at random: the first ones can be easier or harder than the others."""

import dataclasses

import numpy as np

from mmtf.data.dataset import Dataset
from mmtf.data.sources import ImageSource
from mmtf.errors import require_int, require_seed


def drawn_numbers(size: int, count: int, seed: int = 0) -> np.ndarray:
    """Numbers of `count` of `size` examples, drawn without replacement, ascending.

    With the same seed, fewer examples are a part of more.

    Args:
      size: number of examples.
      count: how many are drawn, >= 0; 0, or more than there are: all.
      seed: of the draw.

    Example:
      >>> small, large = drawn_numbers(100, 5), drawn_numbers(100, 20)
      >>> set(small) < set(large), len(drawn_numbers(100, 0))
      (True, 100)
    """
    require_int("count", count, at_least=0)
    require_seed(seed)
    if not 0 < count < size:
        return np.arange(size)
    return np.sort(np.random.default_rng(seed).permutation(size)[:count])


def with_drawn_test(dataset: Dataset, count: int, seed: int = 0) -> Dataset:
    """The dataset with a test split of `count` of its test examples, see `drawn_numbers`."""
    rows = drawn_numbers(len(dataset.test_labels), count, seed)
    if len(rows) == len(dataset.test_labels):
        return dataset
    images = dataset.test_images
    note = f"{len(rows):,} of {len(images):,} test images, drawn at random by seed {seed}"
    return dataclasses.replace(
        dataset,
        test_images=images.select(rows) if isinstance(images, ImageSource) else images[rows],
        test_labels=dataset.test_labels[rows],
        note="; ".join(filter(None, [dataset.note, note])),
    )
