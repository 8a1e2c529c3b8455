"""Hand-written PyTorch loops, eager, channels last; bfloat16 by autocast."""

import contextlib

import torch
from torch.nn import functional as F

from benchmarks.peers.speed.torch_net import error_of, net_of, tensors
from benchmarks.peers.speed.worker import Block, Task
from benchmarks.peers.speed.works import BATCH, ETA


def prepare_fgsm_step(task: Task) -> Block:
    """Training steps on FGSM images in plain PyTorch."""
    return _training(task, penalty=False)


def prepare_minimax_grad_step(task: Task) -> Block:
    """Training steps of Minimax-Grad (Eq. 8) in plain PyTorch."""
    return _training(task, penalty=True)


def prepare_attnet_step(task: Task) -> Block:
    """Training steps of Minimax-AttNet (Algorithm 1) in plain PyTorch."""
    return attnet_game(net_of(task), AttackNet(), task)


def prepare_pgd(task: Task) -> Block:
    """PGD with 40 steps in plain PyTorch."""
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


class AttackNet(torch.nn.Module):
    """The paper's attack network: pixels and one-hot label, three layers of 300 ReLUs, eta tanh."""

    def __init__(self, dropout: float = 0.5):
        super().__init__()
        sizes = [784 + 10, 300, 300, 300, 784]
        self.layers = torch.nn.ModuleList(map(torch.nn.Linear, sizes[:-1], sizes[1:]))
        self.dropout = dropout

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Adversarial examples of images [N, 1, 28, 28] with labels [N]."""
        hidden = torch.cat([x.flatten(1), F.one_hot(y, 10).to(x.dtype)], 1)
        for layer in self.layers[:-1]:
            hidden = F.dropout(F.relu(layer(hidden)), self.dropout, self.training)
        moved = x + ETA * torch.tanh(self.layers[-1](hidden).float()).view_as(x)
        return moved.clamp(-1.0, 1.0).contiguous(memory_format=torch.channels_last)


def attnet_game(
    net: torch.nn.Module, attacker: torch.nn.Module, task: Task, epsilon: float = 1e-7
) -> Block:
    """Algorithm 1 as printed, gamma 1: u descends f + 1/2 ||df/dv||^2, v ascends f (Eq. 16).

    The images of the attacker are computed once and used in both terms.
    """
    u, v = list(net.parameters()), list(attacker.parameters())
    descent = torch.optim.Adam(u, lr=1e-4, eps=epsilon, fused=True)
    ascent = torch.optim.Adam(v, lr=1e-3, eps=epsilon, maximize=True, fused=True)
    stream = _stream(task)

    def step(x, y):
        with _lower(task):
            z = attacker(x, y)
            seen = F.cross_entropy(net.eval()(z), y)
        sensitivity = torch.autograd.grad(seen, v, create_graph=True)
        with _lower(task):
            risk = F.cross_entropy(net.train()(z.detach()), y)
        fixed = [one.detach() for one in sensitivity]
        loss = risk + sum((a * b).sum() for a, b in zip(fixed, sensitivity, strict=True))
        for variables, gradients in ((u, torch.autograd.grad(loss, u)), (v, fixed)):
            for variable, gradient in zip(variables, gradients, strict=True):
                variable.grad = gradient
        descent.step()
        ascent.step()
        return risk

    def block():
        for _ in range(task.count):
            risk = step(*next(stream))
        return risk.item()

    return block


def _lower(task):
    if task.precision == "bfloat16":
        return torch.autocast("cpu", torch.bfloat16)
    return contextlib.nullcontext()


def _stream(task):
    """Yields batches without end."""
    images, labels = tensors(task.images, task.labels)
    at = 0
    while True:
        rows = (torch.arange(BATCH) + at) % len(images)
        at += BATCH
        yield images[rows].contiguous(memory_format=torch.channels_last), labels[rows]


def _training(task, penalty):
    net = net_of(task).train()
    weights = list(net.parameters())
    optimizer = torch.optim.Adam(weights, lr=1e-4, fused=True)
    stream = _stream(task)

    def step(x, y):
        net.eval()
        x.requires_grad_(True)
        with _lower(task):
            loss = F.cross_entropy(net(x), y, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, x)
        z = (x.detach() + ETA * gradient.sign()).clamp(-1.0, 1.0)
        net.train()
        z.requires_grad_(penalty)
        with _lower(task):
            loss = F.cross_entropy(net(z), y, reduction="sum")
        total = loss / BATCH
        if penalty:  # (gamma eta / 2) mean_i ||dl_i/dz_i||^2 with gamma = 1, Eq. 8
            (inner,) = torch.autograd.grad(loss, z, create_graph=True)
            total = total + ETA / 2 * inner.square().sum() / BATCH
        optimizer.zero_grad(set_to_none=True)
        total.backward(inputs=weights)
        optimizer.step()
        return total

    def block():
        for _ in range(task.count):
            total = step(*next(stream))
        total.item()

    return block
