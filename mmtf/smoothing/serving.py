"""Exports a smoothed classifier as a SavedModel that predicts by vote and abstains."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from mmtf.classifiers.admission import logits_on
from mmtf.classifiers.classifier import as_classifier
from mmtf.classifiers.export import CHECKED, write_saved_model
from mmtf.classifiers.loading import require_keras
from mmtf.classifiers.precision import computing_in
from mmtf.errors import require, require_int, require_number
from mmtf.smoothing.certificates import ABSTAIN, least_votes
from mmtf.smoothing.noisy_votes import votes_of


def save_smoothed(
    classifier: Any,
    preprocess: Callable[[tf.Tensor], tf.Tensor],
    image_shape: Sequence[int],
    path: str,
    *,
    sigma: float,
    n: int = 1000,
    alpha: float = 0.001,
) -> None:
    """Saves a smoothed classifier atomically as a SavedModel that TensorFlow loads without mmtf.

    Each image is classified n times under fresh noise. Its signatures, in float32:
      serving_default: `images` uint8 [N, H, W, C], raw pixels -> `label` int32 [N], -1 where the
        test of `mmtf.smoothing.voted` abstains, and `counts` int32 [N, classes]. The noise is
        drawn anew in every call.
      votes: `images` float32 [N, H, W, C] in [-1, 1] and `seed` int32 [2] -> the same outputs,
        which the seed determines.

    Args:
      classifier: a Keras model that mmtf.evaluate accepts, or a Classifier of one: the base
        classifier, without noise.
      preprocess: maps a uint8 batch to a float32 batch in [-1, 1]; TensorFlow operations only.
      image_shape: (H, W, C).
      path: the folder to write. A SavedModel that mmtf wrote is replaced; nothing else is ever
        overwritten or deleted.
      sigma: standard deviation of the noise for pixels in [-1, 1], > 0.
      n: number of draws for each image, > 0.
      alpha: see `mmtf.smoothing.voted`.

    Raises:
      ConfigError, OSError: see `mmtf.save_serving`.
    """
    require_number("sigma", sigma, above=0)
    require_int("n", n)
    require(callable(preprocess), "preprocess as a function of uint8 images", preprocess)
    model = as_classifier(classifier)
    require_keras(model, "a SavedModel")
    logits_on(model, tf.random.stateless_uniform([CHECKED, *image_shape], [0, 0], -1.0, 1.0))
    least = tf.constant(least_votes(n, alpha), tf.int32)
    # The layers keep their own policies; `computing_in` sets them to float32.
    inner = model.at(None)

    def votes(images, seed):
        def of_image(one):
            image, index = one
            image.set_shape(tuple(image_shape))
            own = tf.random.experimental.stateless_fold_in(seed, index)
            return votes_of(inner, image, own, tf.constant(float(sigma)), n)[0]

        rows = tf.range(tf.shape(images)[0])
        kind = tf.TensorSpec([inner.num_classes], tf.int32)
        counts = tf.map_fn(of_image, (images, rows), fn_output_signature=kind)
        two = tf.reduce_sum(tf.math.top_k(counts, 2).values, -1)
        sure = tf.reduce_max(counts, -1) >= tf.gather(least, two)
        label = tf.where(sure, tf.argmax(counts, -1, tf.int32), ABSTAIN)
        return {"label": label, "counts": counts}

    def serve(images):
        # Seeds 0 of the operation itself: tf.random.set_seed must not make the noise repeat.
        most = tf.constant(2**31 - 1)
        seed = tf.raw_ops.RandomUniformInt(
            shape=[2], minval=tf.constant(0), maxval=most, seed=0, seed2=0
        )
        return votes(preprocess(images), seed)

    raw = tf.TensorSpec([None, *image_shape], tf.uint8, name="images")
    scaled = tf.TensorSpec([None, *image_shape], tf.float32, name="images")
    seeds = tf.TensorSpec([2], tf.int32, name="seed")
    keras_model = model.keras_model
    with computing_in(keras_model, "float32"):
        endpoints = {"serving_default": (serve, raw), "votes": (votes, scaled, seeds)}
        write_saved_model(keras_model, endpoints, path)
