"""mmtf as `mmtf.run` and `mmtf.evaluate` use it; Minimax-Grad's penalty on all examples."""

from typing import Any

import tensorflow as tf

from benchmarks.peers.speed.worker import Block, Task
from benchmarks.peers.speed.works import BATCH, ETA
from mmtf.attacks import ATTACKS
from mmtf.config import Schedule
from mmtf.data import Batches, Dataset
from mmtf.evaluation.runner import misclassified, perturb
from mmtf.games import GAMES
from mmtf.threat import ThreatModel
from mmtf.training.trainer import Trainer

THREAT = ThreatModel(eta=ETA)


def prepare_fgsm_step(task: Task) -> Block:
    """Training steps of mmtf's game `lwa`."""
    return prepare_training(task, "lwa")


def prepare_minimax_grad_step(task: Task) -> Block:
    """Training steps of mmtf's game `minimax_grad`."""
    return prepare_training(task, "minimax_grad")


def prepare_attnet_step(task: Task) -> Block:
    """Training steps of mmtf's game `minimax_attnet`."""
    return prepare_training(task, "minimax_attnet")


def prepare_pgd(task: Task) -> Block:
    """mmtf's PGD with 40 steps."""
    return _attack(task, "pgd", steps=40)


def prepare_apgd(task: Task) -> Block:
    """mmtf's APGD with 50 steps."""
    return _attack(task, "apgd", steps=50)


def prepare_autoattack(task: Task) -> Block:
    """mmtf's AutoAttack."""
    return _attack(task, "autoattack")


def prepare_training(task: Task, game: str, **options: Any) -> Block:
    """Steps of a game with `options`, as `mmtf.run` takes them."""
    data = Dataset(
        name="mnist",
        train_images=task.images,
        train_labels=task.labels,
        test_images=task.images[:1],
        test_labels=task.labels[:1],
        num_classes=10,
    )
    trainer = Trainer(
        GAMES[game](THREAT, **options),
        task.classifier(),
        Batches(data, batch_size=BATCH, seed=0),
        schedule=Schedule(steps=1_000_000, learning_rate=1e-4),
        strategy=tf.distribute.get_strategy(),
        precision=task.precision,
        seed=0,
    )
    done = [0]

    def block():
        metrics = trainer.run(done[0], task.count)
        done[0] += task.count
        float(metrics["risk"])

    return block


def _attack(task, name, **options):
    model, attack = task.classifier(), ATTACKS[name](THREAT, **options)
    x, y = task.images[: task.count], task.labels[: task.count]

    def block():
        z = perturb(model, attack, x, y, precision=task.precision)
        return float(misclassified(model, z, y).mean())

    return block
