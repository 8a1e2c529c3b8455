"""A training loop in Keras, as a user would write it, around the attack of a library."""

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from benchmarks.peers.speed.worker import Block, Task
from benchmarks.peers.speed.works import BATCH


def classifier(task: Task) -> keras.Model:
    """Returns mmtf's classifier in the task's precision, by Keras' own mixed precision."""
    model = task.classifier()
    if task.precision == "bfloat16":
        for layer in model.layers[:-1]:
            layer.dtype_policy = keras.DTypePolicy("mixed_bfloat16")
    return model


def batches(task: Task) -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
    """Yields batches of BATCH images without end, repeating the task's images."""
    at = 0
    while True:
        rows = np.arange(at, at + BATCH) % len(task.images)
        yield tf.constant(task.images[rows]), tf.constant(task.labels[rows])
        at += BATCH


def adversarial_step(task: Task, attack: Callable[..., Any], compiled_attack: bool = True) -> Block:
    """Returns a block: task.count steps of Adam on the cross-entropy at attacked images.

    Args:
      task: the Task.
      attack: attack(logits_of, x, y) -> adversarial images.
      compiled_attack: whether the attack runs inside the step's tf.function; otherwise eagerly
        before it.
    """
    model, optimizer = classifier(task), keras.optimizers.Adam(1e-4)
    optimizer.build(model.trainable_variables)
    stream = batches(task)

    def logits_of(x):
        return tf.cast(model(x, training=False), tf.float32)

    @tf.function
    def learn(x, y):
        z = attack(logits_of, x, y) if compiled_attack else x
        with tf.GradientTape() as tape:
            logits = tf.cast(model(z, training=True), tf.float32)
            each = tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits)
            risk = tf.reduce_mean(each)
        gradients = tape.gradient(risk, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return risk

    def block():
        for _ in range(task.count):
            x, y = next(stream)
            risk = learn(x if compiled_attack else attack(logits_of, x, y), y)
        float(risk)

    return block


def error_of(model: keras.Model, z: tf.Tensor, y: tf.Tensor) -> float:
    """Returns the share of images in `z` that `model` misclassifies."""
    found = tf.argmax(model(z, training=False), 1, tf.int32)
    return float(tf.reduce_mean(tf.cast(found != tf.cast(y, tf.int32), tf.float32)))
