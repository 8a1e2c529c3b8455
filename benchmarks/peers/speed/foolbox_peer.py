"""Foolbox on the Keras model, as its documentation shows; the training step is a tf.function."""

import foolbox
import tensorflow as tf

from benchmarks.peers.speed.keras_loop import adversarial_step, error_of
from benchmarks.peers.speed.worker import Block, Task
from benchmarks.peers.speed.works import ETA


def prepare_fgsm_step(task: Task) -> Block:
    """Training steps on Foolbox' FGSM images."""
    attack, models = foolbox.attacks.LinfFastGradientAttack(random_start=False), {}

    def perturb(logits_of, x, y):
        if "model" not in models:
            models["model"] = foolbox.TensorFlowModel(logits_of, bounds=(-1.0, 1.0))
        return attack.run(models["model"], x, tf.cast(y, tf.int64), epsilon=ETA)

    return adversarial_step(task, perturb, compiled_attack=False)


def prepare_pgd(task: Task) -> Block:
    """Foolbox' PGD with 40 steps, on the Keras model."""
    model = task.classifier()
    wrapped = foolbox.TensorFlowModel(model, bounds=(-1.0, 1.0))
    attack = foolbox.attacks.LinfPGD(steps=40, abs_stepsize=2.5 * ETA / 40)
    x, y = tf.constant(task.images[: task.count]), tf.constant(task.labels[: task.count], tf.int64)
    return lambda: error_of(model, attack.run(wrapped, x, y, epsilon=ETA), y)
