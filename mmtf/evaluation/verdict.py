"""Finds the images that a classifier misclassifies, or rejects, in float32."""

from typing import Any

import numpy as np
import tensorflow as tf

from mmtf.attacks.queries import misclassified_fn, require_labels
from mmtf.classifiers.classifier import as_classifier
from mmtf.data.sources import ImageSource
from mmtf.evaluation.batching import default_batch_size
from mmtf.runtime.devices import full_float32


def misclassified(
    classifier: Any, z: np.ndarray | ImageSource, y: np.ndarray, batch_size: int | None = None
) -> np.ndarray:
    """Finds the images whose predicted label, computed in float32, differs from `y`.

    A classifier that rejects images is wrong only about images that it accepts (reject = right).

    Args:
      classifier: a Classifier, a Keras model, or a function (images, training=False) -> logits.
      z: images, float32 [N, H, W, C]; of an ImageSource one batch after the other is read.
      y: labels, int [N].
      batch_size: images per batch; None: `default_batch_size`.

    Returns:
      bool [N].

    Raises:
      ConfigError: a label is no class.
    """
    classifier = as_classifier(classifier)
    require_labels(y, classifier.num_classes)
    wrong = misclassified_fn(classifier.at("float32"))
    size = batch_size or default_batch_size(tuple(z.shape[1:]))
    with full_float32():
        found = [
            wrong(tf.constant(z[i : i + size]), tf.constant(y[i : i + size], tf.int32)).numpy()
            for i in range(0, len(z), size)
        ]
    missed = np.concatenate(found) > 0
    kept = accepted(classifier, z, batch_size)
    return missed if kept is None else missed & kept


def accepted(
    classifier: Any, z: np.ndarray | ImageSource, batch_size: int | None = None
) -> np.ndarray | None:
    """Finds the images that a classifier accepts, computed in float32.

    Args:
      classifier, z, batch_size: see `misclassified`.

    Returns:
      bool [N]; None: the classifier never rejects.
    """
    classifier = as_classifier(classifier)
    if not classifier.rejects:
        return None
    full = classifier.at("float32")
    accepts = full.compiled("accepts", lambda one, images: one.accepts(images))
    size = batch_size or default_batch_size(tuple(z.shape[1:]))
    with full_float32():
        found = [accepts(tf.constant(z[i : i + size])).numpy() for i in range(0, len(z), size)]
    return np.concatenate(found)
