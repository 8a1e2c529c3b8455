"""The original AutoAttack (Croce & Hein), PyTorch, from PyPI's pyautoattack."""

import logging

import torch
from pyautoattack.autoattack import AutoAttack
from pyautoattack.autopgd_base import APGDAttack
from torch import nn

from benchmarks.peers.speed.torch_net import error_of, net_of, tensors
from benchmarks.peers.speed.worker import Block, Task
from benchmarks.peers.speed.works import ETA


class Unit(nn.Module):
    """Adapts a net of images in [-1, 1] to images in [0, 1], which AutoAttack requires."""

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of images in [0, 1]."""
        return self.net(2.0 * x - 1.0)


def prepare_apgd(task: Task) -> Block:
    """The original APGD with 50 steps."""
    net, x, y = _problem(task)
    attack = APGDAttack(
        net, n_iter=50, norm="Linf", eps=ETA / 2, seed=0, loss="ce", device="cpu", **_quiet()
    )

    def block():
        with torch.no_grad():
            z = attack.perturb(x, y)
        return error_of(net, z, y)

    return block


def prepare_autoattack(task: Task) -> Block:
    """The original AutoAttack, version `standard`."""
    net, x, y = _problem(task)
    attack = AutoAttack(net, norm="Linf", eps=ETA / 2, version="standard", seed=0, device="cpu")

    def block():
        z = attack.run_standard_evaluation(x, y, batch_size=500)
        z = z[0] if isinstance(z, tuple) else z
        return error_of(net, z, y)

    return block


def _problem(task):
    net = Unit(net_of(task)).eval().requires_grad_(False)
    x, y = tensors(task.images[: task.count], task.labels[: task.count])
    return net, (x + 1.0) / 2.0, y


def _quiet():
    return {"logger": logging.getLogger("auto-attack")}
