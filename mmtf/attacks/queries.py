"""Queries to the classifier that attacks share, and operations per example."""

import functools
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow import Tensor

from mmtf import losses
from mmtf.classifiers.classifier import Classifier, as_classifier
from mmtf.errors import require


def program(classifier: Classifier, key: Hashable, function: Callable) -> Callable:
    """Binds `function` to a classifier; compiles it if called eagerly.

    Inside a tf.function the bound function becomes part of that graph.

    Args:
      classifier: first argument of `function`.
      key: key of the compiled program, see `Classifier.compiled`.
      function: called as function(classifier, *tensors).

    Returns:
      A function of the remaining arguments, `tensors`.
    """
    if tf.executing_eagerly():
        return classifier.compiled(key, function)
    return functools.partial(function, classifier)


def misclassified_fn(classifier: Any) -> Callable[[Tensor, Tensor], Tensor]:
    """Returns (z, y) -> float32 [N], 1 where `z` is misclassified, else 0; compiled if eager."""
    return program(as_classifier(classifier), "errors", errors_at)


def margin_fn(classifier: Any) -> Callable[[Tensor, Tensor], Tensor]:
    """Returns (z, y) -> the margin loss [N] at `z` (`mmtf.losses.margin`); compiled if eager."""
    return program(as_classifier(classifier), "margin", _margin_at)


def _margin_at(classifier, z, y):
    return losses.margin(classifier(z, training=False), y)


def errors_at(classifier: Callable, z: Tensor, y: Tensor) -> Tensor:
    """float32 [N]: 1 where `classifier` misclassifies `z`, else 0."""
    return losses.errors(classifier(z, training=False), y)


def input_gradient(
    classifier: Callable, x: Any, y: Any, loss: losses.Loss = losses.cross_entropy
) -> tuple[Tensor, Tensor]:
    """Input gradient of the loss.

    The losses are summed rather than averaged, so that the batch size does not scale an example's
    gradient and tiny gradients do not vanish in float32.

    Args:
      classifier: called as classifier(x, training=False).
      x: float [N, ...].
      y: int [N], labels passed to `loss`.
      loss: (logits, labels) -> [N].

    Returns:
      logits [N, C], and the gradient d loss_i / d x_i with the shape of `x`.
    """
    x = tf.convert_to_tensor(x)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(x)
        logits = classifier(x, training=False)
        total = tf.reduce_sum(loss(logits, y))
    return logits, gradient_of(tape, total, x)


def gradient_of(tape: tf.GradientTape, total: Tensor, x: Tensor) -> Tensor:
    """d total / dx; zeros if `total` does not depend on `x`."""
    return tape.gradient(total, x, unconnected_gradients=tf.UnconnectedGradients.ZERO)


def where_per_example(condition: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """tf.where for tensors `a` and `b` [N, ...] with one condition per example, bool [N]."""
    return tf.where(per_example(condition, a), a, b)


def per_example(values: Tensor, like: Tensor) -> Tensor:
    """Reshapes `values` [N] to [N, 1, ..., 1], so that they broadcast against `like` [N, ...]."""
    return tf.reshape(values, [-1] + [1] * (len(like.shape) - 1))


def inner(a: Tensor, b: Tensor) -> Tensor:
    """<a_i, b_i> of each example, [N] for tensors [N, ...]."""
    return tf.reduce_sum(a * b, list(range(1, a.shape.rank)))


def require_labels(y: Any, classes: int | None) -> None:
    """Raises ConfigError for a label below 0, or that a classifier of `classes` does not have.

    Args:
      y: int [N].
      classes: number of classes; None: unknown.
    """
    y = np.asarray(y)
    if y.size:
        low, high = int(y.min()), int(y.max())
        wanted = "labels >= 0" if classes is None else f"labels from 0 to {classes - 1}"
        right = low >= 0 and (classes is None or high < classes)
        require(right, f"{wanted}, the numbers of the classes", f"labels from {low} to {high}")


def checked_inputs(x: Any, y: Any, seed: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Returns images (NumPy's as float32), labels (int32) and seed as tensors.

    Raises:
      ConfigError: other types or shapes.
    """
    if isinstance(x, np.ndarray) and np.issubdtype(x.dtype, np.floating):
        x = x.astype(np.float32, copy=False)
    x, y, seed = (tf.convert_to_tensor(value) for value in (x, y, seed))
    require(x.dtype.is_floating, "float images in the box", f"{x.dtype.name} {tuple(x.shape)}")
    whole = y.dtype.is_integer and y.shape.rank in (None, 1)
    require(whole, "integer labels [N]", f"{y.dtype.name} of shape {y.shape}")
    if x.shape.rank and y.shape.rank:
        same = x.shape[:1].is_compatible_with(y.shape[:1])
        require(same, "a label for each image", f"{y.shape[0]} labels of {x.shape[0]} images")
    pair = seed.dtype.is_integer and seed.shape.is_compatible_with([2])
    require(pair, "seed as two whole numbers", f"{seed.dtype.name} of shape {seed.shape}")
    # Operations refuse labels of 8 bits, as Keras' datasets have them.
    return x, tf.cast(y, tf.int32), seed
