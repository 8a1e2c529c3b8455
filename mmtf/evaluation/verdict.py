"""Finds the images that a classifier misclassifies in float32."""

from typing import Any

import numpy as np
import tensorflow as tf

from mmtf.attacks.base import misclassified_fn
from mmtf.classifiers.classifier import as_classifier
from mmtf.data.sources import ImageSource
from mmtf.evaluation.batching import default_batch_size
from mmtf.runtime.devices import full_float32


def misclassified(
    classifier: Any, z: np.ndarray | ImageSource, y: np.ndarray, batch_size: int | None = None
) -> np.ndarray:
    """Finds the images whose predicted label, computed in float32, differs from `y`.

    Args:
      classifier: a Classifier, a Keras model, or a function (images, training=False) -> logits.
      z: images, float32 [N, H, W, C]; of an ImageSource one batch after the other is read.
      y: labels, int [N].
      batch_size: images per batch; None: `default_batch_size`.

    Returns:
      bool [N].
    """
    wrong = misclassified_fn(as_classifier(classifier).at("float32"))
    size = batch_size or default_batch_size(tuple(z.shape[1:]))
    with full_float32():
        found = [
            wrong(tf.constant(z[i : i + size]), tf.constant(y[i : i + size], tf.int32)).numpy()
            for i in range(0, len(z), size)
        ]
    return np.concatenate(found) > 0
