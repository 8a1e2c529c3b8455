"""Converts uint8 images to float32 in [-1, 1], in TensorFlow, for use in exported models."""

import tensorflow as tf

CLIP_DEVIATIONS = 2.0


def to_unit_box(images: tf.Tensor) -> tf.Tensor:
    """x / 127.5 - 1, which maps 0 to -1 and 255 to 1 (section 3.1 of the paper).

    Args:
      images: uint8 [N, H, W, C]; the result is float32 of the same shape.

    Example:
      >>> to_unit_box(tf.constant([[[[0], [255]]]], tf.uint8)).numpy().ravel().tolist()
      [-1.0, 1.0]
    """
    return tf.cast(images, tf.float32) / 127.5 - 1.0


def standardize_per_image(images: tf.Tensor) -> tf.Tensor:
    """clip((x - mean) / deviation, -2, 2) / 2 of each image, in [-1, 1] (Appendix B).

    Mean and standard deviation are over all pixels and channels of one image. The result of a
    constant image is 0.

    Args:
      images: uint8 [N, H, W, C]; the result is float32 of the same shape.

    Example:
      >>> standardize_per_image(tf.constant([[[[0], [255]]]], tf.uint8)).numpy().ravel().tolist()
      [-0.5, 0.5]
    """
    images = tf.cast(images, tf.float32)
    axes = [1, 2, 3]
    mean = tf.reduce_mean(images, axes, keepdims=True)
    deviation = tf.math.reduce_std(images, axes, keepdims=True)
    standard = tf.math.divide_no_nan(images - mean, deviation)
    return tf.clip_by_value(standard, -CLIP_DEVIATIONS, CLIP_DEVIATIONS) / CLIP_DEVIATIONS
