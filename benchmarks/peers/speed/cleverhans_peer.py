"""CleverHans (TF2) inside a user's tf.function."""

import keras
import numpy as np
import tensorflow as tf
from cleverhans.tf2.attacks.fast_gradient_method import fast_gradient_method
from cleverhans.tf2.attacks.projected_gradient_descent import projected_gradient_descent

from benchmarks.peers.speed.keras_loop import adversarial_step, error_of
from benchmarks.peers.speed.worker import Block, Task
from benchmarks.peers.speed.works import ETA


def prepare_fgsm_step(task: Task) -> Block:
    """Training steps on CleverHans' FGSM images, compiled together."""

    def attack(logits_of, x, y):
        return fast_gradient_method(
            logits_of, x, ETA, np.inf, y=y, clip_min=-1.0, clip_max=1.0, sanity_checks=False
        )

    return adversarial_step(task, attack)


def prepare_pgd(task: Task) -> Block:
    """CleverHans' PGD with 40 steps, compiled."""
    keras.config.set_dtype_policy("float32")
    model = task.classifier()
    step_size = 2.5 * ETA / 40

    @tf.function
    def attack(x, y):
        return projected_gradient_descent(
            lambda x: model(x, training=False),
            x,
            ETA,
            step_size,
            40,
            np.inf,
            y=y,
            clip_min=-1.0,
            clip_max=1.0,
            rand_init=True,
            rand_minmax=ETA,
            sanity_checks=False,
        )

    x, y = tf.constant(task.images[: task.count]), tf.constant(task.labels[: task.count])
    return lambda: error_of(model, attack(x, y), y)
