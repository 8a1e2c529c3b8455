"""Clean and perturbed images through a net in training mode, as one batch or as two."""

import tensorflow as tf

from mmtf.classifiers.classifier import Classifier

# Whether layers that normalize by statistics of their batch see both halves as one batch.
HALVES = ("apart", "together")


def logits_of_both(
    classifier: Classifier, x: tf.Tensor, z: tf.Tensor, halves: str
) -> tuple[tf.Tensor, tf.Tensor]:
    """The logits of clean images x and of perturbed images z in training mode.

    Args:
      classifier: called with training=True.
      x, z: [N, H, W, C].
      halves: `apart`: two calls, so that BatchNormalization normalizes clean and perturbed images
        each by their own statistics, and its moving statistics are updated by the clean ones
        first. `together`: one call on 2 N images, normalized by common statistics. Without such
        layers and without dropout both give the same.

    Returns:
      Two tensors [N, C].
    """
    if halves == "apart":
        return classifier(x, training=True), classifier(z, training=True)
    count = tf.shape(x)[0]
    logits = classifier(tf.concat([x, z], 0), training=True)
    return logits[:count], logits[count:]
