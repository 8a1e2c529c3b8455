"""Gradients of the loss with respect to the images that can be differentiated once more."""

import tensorflow as tf

from mmtf import losses
from mmtf.attacks.queries import inner
from mmtf.classifiers.classifier import Classifier

# Below this the length of a vector is taken to be constant: its derivative at 0 does not exist.
TINY = 1e-12


def loss_and_gradient(
    classifier: Classifier, x: tf.Tensor, y: tf.Tensor, training: bool
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """The logits [N, C], the losses l_i [N] and the gradients dl_i / dx_i [N, H, W, C].

    All are differentiable on an outer tape. The gradients are those of each example's own loss, on
    the scale of the box [-1, 1]: they depend neither on the batch size nor on weights of examples.

    Args:
      classifier: of images in the box.
      x: [N, H, W, C].
      y: int [N].
      training: the mode of the net.
    """
    x = tf.convert_to_tensor(x)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(x)
        logits = classifier(x, training=training)
        each = losses.cross_entropy(logits, y)
        total = tf.reduce_sum(each)
    gradient = tape.gradient(total, x, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return logits, each, gradient


def length(vectors: tf.Tensor) -> tf.Tensor:
    """||a_i||_2 of each example, [N] for a tensor [N, ...]; its derivative at 0 is taken to be 0.

    Example:
      >>> length(tf.constant([[3.0, 4.0], [0.0, 0.0]])).numpy().tolist()
      [5.0, 0.0]
    """
    squares = inner(vectors, vectors)
    positive = squares > TINY**2
    root = tf.sqrt(tf.where(positive, squares, tf.ones_like(squares)))
    return tf.where(positive, root, tf.zeros_like(root))
