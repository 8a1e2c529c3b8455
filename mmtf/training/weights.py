"""Weights of training examples, from those of their classes and their own."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from mmtf.errors import require


def example_weights(
    labels: np.ndarray,
    num_classes: int,
    class_weight: Mapping[int, float] | None = None,
    sample_weight: Any = None,
) -> np.ndarray | None:
    """The weight of each example: that of its class times its own.

    Args:
      labels: int [N].
      num_classes: > 1.
      class_weight: class -> weight >= 0; other classes have weight 1.
      sample_weight: [N], weights >= 0; None: 1.

    Returns:
      float32 [N]; None if neither is given.

    Raises:
      ConfigError: an unknown class, another number of weights, weights that are negative or not
        finite, or none above 0.

    Example:
      >>> example_weights(np.array([0, 1, 1]), 2, {1: 2.0}, [1.0, 1.0, 0.5]).tolist()
      [1.0, 2.0, 1.0]
    """
    if class_weight is None and sample_weight is None:
        return None
    weights = np.ones(len(labels))
    if class_weight is not None:
        require(isinstance(class_weight, Mapping), "class_weight = {class: weight}", class_weight)
        known = range(num_classes)
        require(
            all(one in known for one in class_weight),
            f"classes 0 to {num_classes - 1} in class_weight",
            list(class_weight),
        )
        weights *= np.array([_number(class_weight.get(one, 1.0)) for one in known])[labels]
    if sample_weight is not None:
        own = np.asarray(sample_weight)
        require(
            own.shape == labels.shape and own.dtype.kind in "fiub",
            f"sample_weight as numbers [{len(labels)}], one for each training example",
            f"{own.dtype} of shape {own.shape}",
        )
        weights *= own
    right = np.isfinite(weights).all() and (weights >= 0).all() and weights.any()
    require(
        bool(right),
        "weights of examples that are finite, >= 0 and not all 0",
        [float(weights.min()), float(weights.max())],
    )
    return weights.astype(np.float32)


def _number(value):
    require(isinstance(value, int | float | np.number), "numbers as weights in class_weight", value)
    return float(value)
