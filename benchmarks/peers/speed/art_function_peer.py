"""ART's attack around a training step that the user has compiled."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from benchmarks.peers.speed import art_peer
from benchmarks.peers.speed.worker import Block, Task


def prepare_fgsm_step(task: Task) -> Block:
    """Training steps on ART's FGSM images, with a compiled training step."""
    return art_peer.prepare_fgsm_step(task, train_step=compiled_training_step(1e-4))


def compiled_training_step(learning_rate: Any) -> Callable[..., None]:
    """A compiled step of Adam for ART's TensorFlowV2Classifier.

    Args:
      learning_rate: a number or a Keras schedule.
    """
    import keras

    optimizer = keras.optimizers.Adam(learning_rate)

    @tf.function
    def train_step(model, x, y):
        with tf.GradientTape() as tape:
            logits = model(x, training=True)
            each = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.cast(y, tf.int32), logits)
            risk = tf.reduce_mean(each)
        gradients = tape.gradient(risk, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))

    def build_first(model, x, y):
        if not optimizer.built:
            optimizer.build(model.trainable_variables)
        train_step(model, x, y)

    return build_first
