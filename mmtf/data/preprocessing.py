"""uint8 images -> float32 in [-1, 1]; TensorFlow functions, so that they can be exported."""

import tensorflow as tf

CLIP_DEVIATIONS = 2.0


def to_unit_box(images: tf.Tensor) -> tf.Tensor:
    """x / 127.5 - 1: 0 -> -1, 255 -> 1 (section 3.1: all pixels in the range [-1, 1]).

    Args:
      images: uint8 [N, H, W, C].
    """
    return tf.cast(images, tf.float32) / 127.5 - 1.0


def standardize_per_image(images: tf.Tensor) -> tf.Tensor:
    """Appendix B: subtract the image's mean, divide by its deviation, clip to +-2, divide by 2.

    Mean and standard deviation are those of all pixels and channels of one image. A constant
    image gives zeros.

    Args:
      images: uint8 [N, H, W, C].
    """
    images = tf.cast(images, tf.float32)
    axes = [1, 2, 3]
    mean = tf.reduce_mean(images, axes, keepdims=True)
    deviation = tf.math.reduce_std(images, axes, keepdims=True)
    standard = tf.math.divide_no_nan(images - mean, deviation)
    return tf.clip_by_value(standard, -CLIP_DEVIATIONS, CLIP_DEVIATIONS) / CLIP_DEVIATIONS
