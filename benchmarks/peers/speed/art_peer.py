"""ART: training on the Keras model as documented, attacks on the PyTorch net, its faster side."""

from collections.abc import Callable
from typing import Any

import numpy as np
from art.attacks import evasion

from benchmarks.peers.speed.worker import Block, Task
from benchmarks.peers.speed.works import BATCH, ETA


def prepare_fgsm_step(task: Task, train_step: Callable[..., Any] | None = None) -> Block:
    """FastGradientMethod.generate, then TensorFlowV2Classifier.fit, a batch at a time."""
    import keras
    from art.estimators.classification import TensorFlowV2Classifier

    from benchmarks.peers.speed.keras_loop import batches

    model = task.classifier()
    given = {"train_step": train_step} if train_step else {"optimizer": keras.optimizers.Adam(1e-4)}
    classifier = TensorFlowV2Classifier(
        model=model,
        nb_classes=10,
        input_shape=(28, 28, 1),
        loss_object=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        clip_values=(-1.0, 1.0),
        **given,
    )
    attack = evasion.FastGradientMethod(classifier, eps=ETA, batch_size=BATCH)
    stream = batches(task)

    def block():
        for _ in range(task.count):
            x, y = (np.asarray(one) for one in next(stream))
            z = attack.generate(x, y=np.eye(10, dtype=np.float32)[y])
            classifier.fit(z, y, batch_size=BATCH, nb_epochs=1)

    return block


def prepare_pgd(task: Task) -> Block:
    """ART's PGD with 40 steps, on the PyTorch net."""
    return _on_torch(
        task,
        evasion.ProjectedGradientDescent,
        eps=ETA,
        eps_step=2.5 * ETA / 40,
        max_iter=40,
        num_random_init=1,
    )


def prepare_apgd(task: Task) -> Block:
    """ART's Auto-PGD with 50 steps, on the PyTorch net."""
    return _on_torch(
        task,
        evasion.AutoProjectedGradientDescent,
        eps=ETA,
        eps_step=2.0 * ETA,
        max_iter=50,
        nb_random_init=1,
        loss_type="cross_entropy",
    )


def _on_torch(task, make, **options):
    import torch
    from art.estimators.classification import PyTorchClassifier

    from benchmarks.peers.speed.torch_net import error_of, net_of, tensors

    net = net_of(task).eval().requires_grad_(False)
    classifier = PyTorchClassifier(
        model=net,
        loss=torch.nn.CrossEntropyLoss(),
        input_shape=(1, 28, 28),
        nb_classes=10,
        clip_values=(-1.0, 1.0),
        device_type="cpu",
    )
    attack = make(classifier, batch_size=task.count, verbose=False, **options)
    x, y = tensors(task.images[: task.count], task.labels[: task.count])
    images, labels = x.contiguous().numpy(), np.eye(10, dtype=np.float32)[y.numpy()]

    def block():
        z = torch.from_numpy(attack.generate(images, y=labels))
        return error_of(net, z, y)

    return block
