"""Labels as they come -> class numbers: integers, or one-hot rows where they are exactly that."""

from typing import Any

import numpy as np

from mmtf.data.errors import DataError


def class_numbers(labels: Any, count: int, num_classes: int, where: str) -> np.ndarray:
    """Labels as int32 [N] in [0, num_classes).

    Args:
      labels: integers [N], or one-hot rows [N, num_classes] of any numeric type: each of a single
        1 and zeros.
      count: how many there must be.
      num_classes: number of classes.
      where: what they label, for the message.

    Raises:
      DataError: another shape or type, labels out of range, or rows that are not one-hot, such as
        smoothed labels.

    Example:
      >>> class_numbers([[0.0, 1.0], [1.0, 0.0]], 2, 2, "the train split").tolist()
      [1, 0]
    """
    labels = np.asarray(labels)
    if labels.shape == (count, num_classes) and labels.dtype.kind in "iufb":
        exact = ((labels == 0) | (labels == 1)).all(1) & ((labels == 1).sum(1) == 1)
        if not exact.all():
            row = int(np.flatnonzero(~exact)[0])
            raise DataError(
                f"Expected one-hot labels of {where}, rows of one 1 and zeros. Received: "
                f"{labels[row].tolist()} in row {row}. Labels of several classes, or smoothed "
                "ones, are not supported."
            )
        return labels.argmax(1).astype(np.int32)
    if labels.shape != (count,) or not np.issubdtype(labels.dtype, np.integer):
        remedy = " Use labels[:, 0]." if labels.ndim == 2 and labels.shape[1] == 1 else ""
        raise DataError(
            f"Expected {count} integer labels [N], or one-hot rows [N, {num_classes}], in {where}. "
            f"Received: {labels.dtype} of shape {labels.shape}.{remedy}"
        )
    if labels.min() < 0 or labels.max() >= num_classes:
        raise DataError(
            f"Expected labels of {where} in [0, {num_classes}). "
            f"Received: [{labels.min()}, {labels.max()}]."
        )
    return labels.astype(np.int32)
