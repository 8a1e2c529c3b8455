"""Exports a mixture as a SavedModel that draws a net for each image in each call."""

from collections.abc import Callable, Sequence

import tensorflow as tf

from mmtf.classifiers.admission import logits_on
from mmtf.classifiers.export import CHECKED, write_saved_model
from mmtf.classifiers.precision import computing_in
from mmtf.errors import require
from mmtf.mixtures.mixed_classifier import Mixture, answers


def save_mixture(
    mixture: Mixture,
    preprocess: Callable[[tf.Tensor], tf.Tensor],
    image_shape: Sequence[int],
    path: str,
) -> None:
    """Saves a mixture atomically as a SavedModel that TensorFlow loads without mmtf.

    Its signatures, in float32:
      serving_default: `images` uint8 [N, H, W, C], raw pixels -> `label` int32 [N] and
        `probabilities` float32 [N, classes] of the net drawn for each image, afresh in each call.
      expected_probabilities: the same images -> `probabilities`, sum_d p_d softmax f_d.
      logits: `images` float32 [N, H, W, C] in [-1, 1] -> `logits` float32 [N, classes], the
        logarithms of the expected probabilities. `mmtf.evaluate` attacks these.

    Args:
      mixture: of Keras models; nets of probability 0 are left out.
      preprocess: maps a uint8 batch to a float32 batch in [-1, 1]; TensorFlow operations only.
      image_shape: (H, W, C).
      path: the folder to write. A SavedModel that mmtf wrote is replaced; nothing else is ever
        overwritten or deleted.

    Raises:
      ConfigError, OSError: see `mmtf.save_serving`.
    """
    require(isinstance(mixture, Mixture), "an mmtf.mixtures.Mixture", mixture)
    require(callable(preprocess), "preprocess as a function of uint8 images", preprocess)
    model = mixture.as_keras()
    noise = tf.random.stateless_uniform([CHECKED, *image_shape], [0, 0], -1.0, 1.0)
    logits_on(mixture, noise)
    # The layers keep their own policies; `computing_in` sets them to float32.
    plain = mixture.at(None)

    def serve(images):
        # Seeds 0 of the operation itself: tf.random.set_seed must not make the draws repeat.
        uniform = tf.raw_ops.RandomUniform(
            shape=tf.shape(images)[:1], dtype=tf.float32, seed=0, seed2=0
        )
        logits, _ = answers(plain.draws(), preprocess(images), uniform)
        label = tf.argmax(logits, -1, tf.int32)
        return {"label": label, "probabilities": tf.nn.softmax(tf.cast(logits, tf.float32))}

    def expected(images):
        return {"probabilities": tf.exp(plain(preprocess(images)))}

    def logits_of(images):
        return {"logits": plain(images)}

    raw = tf.TensorSpec([None, *image_shape], tf.uint8, name="images")
    scaled = tf.TensorSpec([None, *image_shape], tf.float32, name="images")
    endpoints = {
        "serving_default": (serve, raw),
        "expected_probabilities": (expected, raw),
        "logits": (logits_of, scaled),
    }
    with computing_in(model, "float32"):
        write_saved_model(model, endpoints, path)
