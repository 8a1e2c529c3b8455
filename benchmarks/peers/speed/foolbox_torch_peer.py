"""Foolbox on the PyTorch net."""

import foolbox

from benchmarks.peers.speed.torch_net import error_of, net_of, tensors
from benchmarks.peers.speed.worker import Block, Task
from benchmarks.peers.speed.works import ETA


def prepare_pgd(task: Task) -> Block:
    """Foolbox' PGD with 40 steps, on the PyTorch net."""
    net = net_of(task).eval().requires_grad_(False)
    model = foolbox.PyTorchModel(net, bounds=(-1.0, 1.0), device="cpu")
    attack = foolbox.attacks.LinfPGD(steps=40, abs_stepsize=2.5 * ETA / 40)
    x, y = tensors(task.images[: task.count], task.labels[: task.count])
    return lambda: error_of(net, attack.run(model, x, y, epsilon=ETA), y)
