"""How often a classifier predicts each class of an image under Gaussian noise."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from mmtf.classifiers.admission import require_no_rejection
from mmtf.classifiers.classifier import Classifier, as_classifier
from mmtf.data.sources import ImageSource
from mmtf.errors import RunError, require, require_int, require_number, require_seed
from mmtf.runtime.devices import full_float32

# Largest number of noisy images in a forward pass, and of their values: 1000 of MNIST.
DRAWS, VALUES = 1000, 2**20
# Independent streams of noise of one seed: those that select the class, those that certify it, and
# those that judge adversarial examples.
SELECTION, ESTIMATION, JUDGMENT = 0, 1, 2


def counts(
    classifier: Any,
    x: np.ndarray | ImageSource,
    sigma: float,
    n: int,
    seed: int = 0,
    *,
    stream: int = ESTIMATION,
    indices: Sequence[int] | np.ndarray | None = None,
) -> np.ndarray:
    """Counts the predicted classes of x + e over n draws e ~ N(0, sigma^2 I) for each image.

    The draws of an image follow from the seed, the stream, the image's index and the number of the
    block of draws. Every forward pass has one shape, a block of draws of one image, so that neither
    the number nor the order of the images changes a count. It computes in float32, whatever the
    classifier's precision. Noisy images are not clipped to the box.

    Args:
      classifier: a Classifier, a Keras model, or a function (images, training=False) -> logits.
      x: images, float32 [N, H, W, C] in the box, or an ImageSource.
      sigma: standard deviation of the noise for pixels in [-1, 1], > 0: twice that of papers, whose
        pixels lie in [0, 1].
      n: number of draws for each image, > 0.
      seed: in [0, 2^31).
      stream: >= 0; equal seeds with different streams give independent draws.
      indices: int [N], index of each image in its dataset; None: 0, ..., N - 1.

    Returns:
      int64 [N, classes]; each row adds up to n.

    Raises:
      ConfigError: the classifier rejects images.
      RunError: a logit is NaN.

    Example:
      >>> halves = lambda x, training: tf.stack([x[:, 0, 0, 0], -x[:, 0, 0, 0]], 1)
      >>> counts(halves, np.full([1, 1, 1, 1], 0.5, np.float32), 0.1, 100).tolist()
      [[100, 0]]
    """
    require_number("sigma", sigma, above=0)
    require_int("n", n)
    require_seed(seed)
    require_int("stream", stream, at_least=0)
    indices = range(len(x)) if indices is None else [int(one) for one in indices]
    require(len(indices) == len(x), "an index for each image", (len(indices), len(x)))
    classifier = as_classifier(classifier).at("float32")
    require_no_rejection(classifier, "smoothing")
    found = []
    with full_float32():
        for number, index in enumerate(indices):
            image = tf.constant(np.asarray(x[number : number + 1], np.float32)[0])
            votes = _program(classifier, image, n)
            own = tf.random.experimental.stateless_fold_in(tf.constant([seed, stream]), index)
            total, broken = votes(image, own, tf.constant(float(sigma)))
            if int(broken):
                raise RunError(
                    f"Expected finite logits under noise. Received: NaN in {int(broken)} of {n} "
                    f"draws of image {index}."
                )
            found.append(total.numpy())
    classes = found[0].shape[-1] if found else classifier.num_classes or 0
    return np.asarray(found, np.int64).reshape(len(found), classes)


def blocks_of(n: int, image_shape: Sequence[int]) -> tuple[int, int]:
    """(number of blocks, draws in a block) of n draws of an image; the last block may exceed n.

    Example:
      >>> blocks_of(10_000, (28, 28, 1)), blocks_of(100, (28, 28, 1)), blocks_of(1500, (32, 32, 3))
      ((10, 1000), (1, 100), (5, 300))
    """
    largest = max(1, min(DRAWS, VALUES // math.prod(image_shape)))
    blocks = math.ceil(n / largest)
    return blocks, math.ceil(n / blocks)


def votes_of(
    classifier: Classifier, image: tf.Tensor, seed: tf.Tensor, sigma: tf.Tensor, n: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """The counts of one image, for use inside a tf.function; see `counts`.

    Args:
      classifier: the classifier.
      image: float32 [H, W, C].
      seed: int [2], of this image.
      sigma: float32 scalar.
      n: number of draws.

    Returns:
      int32 [classes], and the number of draws with a NaN among the logits.
    """
    blocks, size = blocks_of(n, image.shape)
    classes = classifier.num_classes or int(classifier(image[None]).shape[-1])

    def body(block, total, broken):
        own = tf.random.experimental.stateless_fold_in(seed, block)
        noise = tf.random.stateless_normal([size, *image.shape], own)
        logits = classifier(image + sigma * noise, training=False)
        wanted = tf.range(size) + block * size < n
        of_class = tf.one_hot(tf.argmax(logits, -1), classes, dtype=tf.int32)
        total += tf.reduce_sum(tf.where(wanted[:, None], of_class, 0), 0)
        nan = wanted & tf.reduce_any(tf.math.is_nan(logits), -1)
        return block + 1, total, broken + tf.reduce_sum(tf.cast(nan, tf.int32))

    _, total, broken = tf.while_loop(
        lambda block, *_: block < blocks,
        body,
        (tf.constant(0), tf.zeros([classes], tf.int32), tf.constant(0)),
        parallel_iterations=1,
    )
    return total, broken


def _program(classifier, image, n):
    def function(model, image, seed, sigma):
        return votes_of(model, image, seed, sigma, n)

    return classifier.compiled(("noisy votes", n, tuple(image.shape)), function)
