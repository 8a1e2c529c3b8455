"""Extra training examples from another dataset."""

import dataclasses
from typing import Any

import numpy as np

from mmtf.data.dataset import Dataset
from mmtf.data.errors import DataError


def with_extra(dataset: Dataset, extra: Dataset) -> Dataset:
    """`dataset` with the training examples of `extra` after its own, for `Batches(extra=...)`.

    Args:
      dataset: in memory.
      extra: its training split is used: of the same image shape and pixel type, in memory, of no
        more classes.

    Raises:
      DataError: examples that do not fit.

    Example:
      >>> from mmtf.data import load_digits
      >>> digits = load_digits()
      >>> len(with_extra(digits, digits).train_images) == 2 * len(digits.train_images)
      True
    """
    ours, theirs = _form(dataset), _form(extra)
    if ours != theirs:
        raise DataError(
            f"Expected extra images as those of {dataset.name}, {ours}. Received: {theirs}."
        )
    if extra.num_classes > dataset.num_classes:
        raise DataError(
            f"Expected extra examples of the {dataset.num_classes} classes of {dataset.name}. "
            f"Received: {extra.num_classes} classes."
        )
    return dataclasses.replace(
        dataset,
        train_images=np.concatenate([dataset.train_images, extra.train_images]),
        train_labels=np.concatenate([dataset.train_labels, extra.train_labels]),
    )


def _form(dataset: Dataset) -> str:
    images: Any = dataset.train_images
    place = "in memory" if isinstance(images, np.ndarray) else "streamed"
    return f"{images.dtype} {' x '.join(map(str, images.shape[1:]))} {place}"
