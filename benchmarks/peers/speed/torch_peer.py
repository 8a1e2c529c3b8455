"""Hand-written PyTorch loops, eager, channels last; bfloat16 by autocast."""

import contextlib

import torch
from torch.nn import functional as F

from benchmarks.peers.speed.torch_net import error_of, net_of, tensors
from benchmarks.peers.speed.works import BATCH, ETA


def prepare_fgsm_step(task):
    return _training(task, penalty=False)


def prepare_minimax_grad_step(task):
    return _training(task, penalty=True)


def prepare_pgd(task):
    net = net_of(task).eval().requires_grad_(False)
    x, y = tensors(task.images[: task.count], task.labels[: task.count])
    step_size = 2.5 * ETA / 40

    def block():
        z = (x + torch.empty_like(x).uniform_(-ETA, ETA)).clamp(-1.0, 1.0)
        for _ in range(40):
            z.requires_grad_(True)
            loss = F.cross_entropy(net(z), y, reduction="sum")
            (gradient,) = torch.autograd.grad(loss, z)
            z = z.detach() + step_size * gradient.sign()
            z = torch.maximum(torch.minimum(z, x + ETA), x - ETA).clamp(-1.0, 1.0)
        return error_of(net, z, y)

    return block


def _training(task, penalty):
    net = net_of(task).train()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-4)
    images, labels = tensors(task.images, task.labels)
    at = [0]

    def lower():
        if task.precision == "bfloat16":
            return torch.autocast("cpu", torch.bfloat16)
        return contextlib.nullcontext()

    def step(x, y):
        net.eval()
        x.requires_grad_(True)
        with lower():
            loss = F.cross_entropy(net(x), y, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, x)
        z = (x.detach() + ETA * gradient.sign()).clamp(-1.0, 1.0)
        net.train()
        z.requires_grad_(penalty)
        with lower():
            loss = F.cross_entropy(net(z), y, reduction="sum")
        total = loss / BATCH
        if penalty:  # (gamma eta / 2) mean_i ||dl_i/dz_i||^2 with gamma = 1, Eq. 8
            (inner,) = torch.autograd.grad(loss, z, create_graph=True)
            total = total + ETA / 2 * inner.square().sum() / BATCH
        optimizer.zero_grad(set_to_none=True)
        total.backward()
        optimizer.step()
        return total

    def block():
        for _ in range(task.count):
            rows = (torch.arange(BATCH) + at[0]) % len(images)
            at[0] += BATCH
            x = images[rows].contiguous(memory_format=torch.channels_last)
            total = step(x, labels[rows])
        total.item()

    return block
